"""Compares a window's counts with the training data's, feature by feature."""

from dataclasses import dataclass

import numpy as np

from penstock.components.monitoring.measures import distances
from penstock.components.monitoring.measures import thresholds as deriving
from penstock.components.monitoring.measures.bins import FeatureBins, Kind
from penstock.components.monitoring.measures.counts import FeatureCounts, WindowCounts
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import Measure, Sensitivity, Threshold


@dataclass(frozen=True)
class Measured:
    """A measure of a feature in a window. `rows` is how many rows it is of: the sample size."""

    measure: Measure
    value: float
    threshold: float
    rows: int

    @property
    def alerts(self) -> bool:
        """Whether it exceeds its threshold."""
        return self.value > self.threshold

    @property
    def excess(self) -> float:
        """The value in units of its threshold."""
        return self.value / self.threshold if self.threshold else float(self.value > 0)


@dataclass(frozen=True)
class Shift:
    """How far a feature is from the training data."""

    feature: str
    kind: Kind
    missing: float  # share of the window's rows
    measures: tuple[Measured, ...]

    @property
    def alerts(self) -> bool:
        """Whether any measure does."""
        return any(one.alerts for one in self.measures)

    @property
    def strongest(self) -> Measured:
        """The measure that exceeds its threshold the most, or comes closest to it."""
        return max(self.measures, key=lambda one: one.excess)


def compare(reference: Reference, counts: WindowCounts, sensitivity: Sensitivity | None = None) -> list[Shift]:
    """Returns the shift of each feature, in the reference's order. A window without rows has none."""
    if not counts.rows:
        return []
    present = {name: one.present for name, one in counts.features.items()}
    limits: dict[str, list[Threshold]] = {}
    for limit in deriving.for_window(reference, counts.rows, present, sensitivity or Sensitivity()):
        limits.setdefault(limit.feature, []).append(limit)
    return [
        _shift(bins, reference.counts.features[name], counts.features[name], limits[name])
        for name, bins in reference.bins.items()
    ]


def _shift(bins: FeatureBins, reference: FeatureCounts, window: FeatureCounts, limits: list[Threshold]) -> Shift:
    measures = [
        Measured(limit.measure, value(limit.measure, bins, reference, window), limit.value, limit.rows)
        for limit in limits
    ]
    return Shift(bins.name, bins.kind, window.missing / window.rows, tuple(measures))


def value(measure: Measure, bins: FeatureBins, reference: FeatureCounts, window: FeatureCounts) -> float:
    """Returns a measure's value, 0 of a window in which no row has the feature but for the missing ones."""
    if measure == "missing":
        return abs(window.missing / window.rows - reference.missing / max(1, reference.rows))
    if not window.present or not reference.present:
        return 0.0
    shares = distances.shares(window.values)
    match measure:
        case "jensen_shannon":
            places = deriving.coarse(bins, reference)
            both = (deriving.pooled(counts.values, places) for counts in (window, reference))
            return float(distances.jensen_shannon(*both))
        case "kolmogorov_smirnov":
            return float(distances.kolmogorov_smirnov(window.values, reference.values))
        case "l_infinity":
            return float(distances.l_infinity(window.values, reference.values))
        case "new_values":
            return float(shares[-1])
        case "out_of_range":
            return float(shares[0] + shares[-1])
        case "words":
            differences = window.words[:-1] / window.present - reference.words[:-1] / reference.present
            return float(np.abs(differences).max(initial=0.0))
        case "new_words":
            return float(window.words[-1] / window.present)
        case "value_count":
            return float(distances.jensen_shannon(window.lengths[1:], reference.lengths[1:]))
        case "dependence" | "rare_combinations":
            raise ValueError(f"{measure} is of two features")

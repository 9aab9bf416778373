"""From which distance on a window differs from the training data by more than chance, and by enough to matter.

All features and measures of a model share one rate of false alarms: that of windows from an unchanged source in which
any of them exceeds its threshold (Bonferroni's inequality).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from penstock.components.monitoring.measures import distances, null_distribution
from penstock.components.monitoring.measures.bins import FeatureBins
from penstock.components.monitoring.measures.counts import FeatureCounts
from penstock.components.monitoring.measures.distances import Indices
from penstock.components.monitoring.measures.reference import Reference

Measure = Literal[
    "jensen_shannon",  # divergence of the values' shares in bins
    "kolmogorov_smirnov",  # of numbers: the greatest difference of shares below any value
    "l_infinity",  # of categories: the greatest difference of any value's share
    "missing",  # difference of the share of rows without a value
    "new_values",  # share of values that the sample of training has not
    "out_of_range",  # share of numbers beyond the least and the greatest of that sample
    "words",  # of text: the greatest difference of the share of rows that have any one word
    "new_words",  # of text: share of rows with a word that the sample of training has not
    "value_count",  # Jensen-Shannon divergence of how many values rows have
    "dependence",  # of two features: how far what they have to do with each other has changed (dependence.py)
    "rare_combinations",  # of two features: how much the share of rows in combinations that training hardly has rises
]
SMALLEST: Mapping[Measure, float] = {
    "jensen_shannon": 0.002,
    "kolmogorov_smirnov": 0.02,
    "l_infinity": 0.02,
    "missing": 0.01,
    "new_values": 0.005,
    "out_of_range": 0.005,
    "words": 0.02,
    "new_words": 0.02,
    "value_count": 0.002,
    "dependence": 0.01,
    "rare_combinations": 0.005,
}
FALSE_ALARM_RATE = 0.05
# Rows from which on derived thresholds hold. Of 2 to 5 rows of real tables up to a seventh of the windows alerted.
FEWEST_ROWS = 10
OF_FEATURES = 0.75  # of the rate; the rest is for dependence between features
# Parts of a feature's rate, 1 by default: distances of values show most shifts, and only large ones need no more.
_PARTS: Mapping[Measure, int] = {"jensen_shannon": 4, "kolmogorov_smirnov": 4, "l_infinity": 4, "words": 4}
_BINS = 20  # in which numbers are compared by Jensen-Shannon
_MOST_CATEGORIES = 60  # likewise
_FEWEST = 20  # of a category's values in training, for it to be compared alone


@dataclass(frozen=True)
class Sensitivity:
    """When a window alerts.

    false_alarm_rate: The share of windows from an unchanged source that alert, at most, by any feature and measure.
    smallest: Of each measure, up to which value a shift is not worth telling, however many rows show it.
    fixed: By feature and measure, thresholds that somebody has set, in place of derived ones; infinite: never.
    """

    false_alarm_rate: float = FALSE_ALARM_RATE
    smallest: Mapping[Measure, float] = field(default_factory=lambda: SMALLEST)
    fixed: Mapping[str, Mapping[Measure, float]] = field(default_factory=dict)

    def is_silent(self, bins: FeatureBins) -> bool:
        """Whether a feature never alerts, by any measure."""
        return all(math.isinf(self.fixed.get(bins.name, {}).get(measure, 0.0)) for measure in measures(bins))


@dataclass(frozen=True)
class Threshold:
    """Above which value a measure of a feature alerts in windows of `rows` rows, and for which reason."""

    feature: str
    measure: Measure
    value: float
    reason: Literal["chance", "smallest", "fixed", "few"]
    rows: int


def thresholds(reference: Reference, rows: int, sensitivity: Sensitivity | None = None) -> list[Threshold]:
    """Derives the thresholds of windows of so many rows, if no more of them are missing than in training."""
    present = {
        name: round(rows * counts.present / max(1, counts.rows)) for name, counts in reference.counts.features.items()
    }
    return list(for_window(reference, rows, present, sensitivity or Sensitivity()))


def for_window(
    reference: Reference, rows: int, present: Mapping[str, int], sensitivity: Sensitivity
) -> Iterator[Threshold]:
    """Yields the thresholds of a window, of whose rows `present` have a feature."""
    names = [(name, measure) for name, bins in reference.bins.items() for measure in measures(bins)]
    derived = [measure for name, measure in names if measure not in sensitivity.fixed.get(name, {})]
    part = sensitivity.false_alarm_rate * OF_FEATURES / max(1, sum(_PARTS.get(measure, 1) for measure in derived))
    for name, measure in names:
        fixed = sensitivity.fixed.get(name, {}).get(measure)
        size = rows if measure == "missing" else present[name]
        if fixed is not None:
            yield Threshold(name, measure, fixed, "fixed", size)
            continue
        counts = reference.counts.features[name]
        if min(size, counts.rows if measure == "missing" else counts.present) < FEWEST_ROWS:
            yield Threshold(name, measure, math.inf, "few", size)
            continue
        chance = _by_chance(measure, reference.bins[name], counts, size, part * _PARTS.get(measure, 1))
        smallest = sensitivity.smallest.get(measure, 0.0)
        yield Threshold(name, measure, max(chance, smallest), "chance" if chance >= smallest else "smallest", size)


def measures(bins: FeatureBins) -> tuple[Measure, ...]:
    """Returns what is measured of a feature of a kind."""
    if bins.kind == "category":
        of_new: tuple[Measure, ...] = ("new_values",) if bins.is_complete else ()
        return ("jensen_shannon", "l_infinity", "missing", *of_new, "value_count")
    of_words: tuple[Measure, ...] = ("words", "new_words") if bins.vocabulary else ()
    return ("jensen_shannon", "kolmogorov_smirnov", "missing", "out_of_range", *of_words, "value_count")


def expected_shares(bins: FeatureBins, counts: FeatureCounts) -> distances.Array:
    """Returns the shares of the bins that chance makes of training data, never 0 for what training did not have."""
    smoothed = counts.values.astype(np.float64)
    total = max(1.0, smoothed.sum())
    if bins.is_complete:
        smoothed[-1] = max(smoothed[-1], bins.unseen * total, 0.5)
    elif bins.kind != "category":
        smoothed[[0, -1]] = np.maximum(smoothed[[0, -1]], max(bins.unseen * total, 0.5))
    return distances.shares(smoothed)


def coarse(bins: FeatureBins, reference: FeatureCounts) -> Indices:
    """Returns for each bin its place among the fewer in which Jensen-Shannon compares.

    Numbers: neighbours with as many values of training. Categories: the most frequent, and one for all others.
    """
    counts = reference.values
    if bins.kind != "category":
        middle = (np.cumsum(counts) - counts / 2) / max(1, counts.sum())
        return np.asarray(np.minimum(middle * _BINS, _BINS - 1), np.int64)
    order = np.argsort(-counts[:-1], kind="stable")[:_MOST_CATEGORIES]
    order = order[counts[order] >= _FEWEST]
    places: Indices = np.full(len(counts), len(order))
    places[order] = np.arange(len(order))
    return places


def pooled(values: npt.NDArray[Any], places: Indices) -> npt.NDArray[Any]:
    """Returns the sums of bins with the same place."""
    return np.asarray(np.bincount(places, values, int(places.max()) + 1))


def _by_chance(measure: Measure, bins: FeatureBins, counts: FeatureCounts, rows: int, probability: float) -> float:
    size = null_distribution.effective_size(rows, counts.rows if measure == "missing" else counts.present)
    expected = expected_shares(bins, counts)
    match measure:
        case "jensen_shannon":
            shares = pooled(expected, coarse(bins, counts))
            return float(null_distribution.jensen_shannon(shares, size, probability))
        case "kolmogorov_smirnov":
            return null_distribution.kolmogorov_smirnov(size, probability)
        case "l_infinity":
            return null_distribution.l_infinity(expected, size, probability)
        case "missing":
            share = max(counts.missing, 0.5) / max(1, counts.rows)
            return null_distribution.share(share, size, probability)
        case "new_values":
            return null_distribution.excess(float(expected[-1]), size, probability)
        case "out_of_range":
            return null_distribution.excess(float(expected[0] + expected[-1]), size, probability)
        case "words":
            return null_distribution.l_infinity(counts.words[:-1] / max(1, counts.present), size, probability)
        case "new_words":
            assert bins.vocabulary is not None
            unseen = max(bins.vocabulary.unseen, 0.5 / max(1, counts.present))
            return null_distribution.excess(unseen, size, probability)
        case "value_count":
            lengths = distances.shares(counts.lengths[1:])
            return float(null_distribution.jensen_shannon(lengths, size, probability))
        case "dependence" | "rare_combinations":
            raise ValueError(f"{measure} is of two features")

"""What the histograms of a binary problem's predictions tell: curves, calibration, and matrices at thresholds."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.core.artifacts.evaluation_summary import BinaryPlot

_MOST_POINTS = 80  # of a curve: more are not seen, and every plot of every slice is in the page
_GROUPS = 10
# A summary has edges at each 0.02, so counts at these thresholds and in these bins are exact.
THRESHOLDS, _BINS = 50, 25
type Floats = NDArray[np.float64]


class Point(NamedTuple):
    """What comes of calling predictions of at least `threshold` positive."""

    threshold: float
    true_positives: float
    false_positives: float
    false_negatives: float
    true_negatives: float

    @property
    def recall(self) -> float | None:
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def precision(self) -> float | None:
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def f1(self) -> float | None:
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def false_positive_rate(self) -> float | None:
        return _ratio(self.false_positives, self.false_positives + self.true_negatives)


class Group(NamedTuple):
    """Rows of nearly the same prediction."""

    rows: float
    mean_prediction: float
    positive_share: float


class Bin(NamedTuple):
    """The shares of all positive and of all negative rows whose predictions are from `low` to `high`."""

    low: float
    high: float
    positive: float
    negative: float


@dataclass(frozen=True)
class Curves:
    """The curves of a plot. Those of rows that are all of one class have no points."""

    edges: Floats
    positive: Floats
    negative: Floats
    predictions: Floats

    @classmethod
    def of(cls, plot: BinaryPlot) -> "Curves":
        return cls(*(np.array(plot[key], float) for key in ("edges", "positive", "negative", "predictions")))

    @property
    def has_both_classes(self) -> bool:
        return bool(self.positive.sum() > 0 and self.negative.sum() > 0)

    def points(self) -> list[Point]:
        """Returns the points from the highest threshold to the lowest: few, and close where the curves bend."""
        if not self.has_both_classes:
            return []
        buckets = np.arange(len(self.edges) - 1, -1, -1)
        hits, alarms = self._above
        path = np.abs(np.diff(hits[buckets])) / hits[0] + np.abs(np.diff(alarms[buckets])) / alarms[0]
        walked = np.concatenate([[0.0], np.cumsum(path)])
        picked = np.unique(np.searchsorted(walked, np.linspace(0, walked[-1], _MOST_POINTS) - 1e-12))
        return [self._point(int(bucket)) for bucket in buckets[picked]]

    def at_thresholds(self) -> list[Point]:
        """Returns points at evenly spaced thresholds, from the lowest."""
        low, high = self.edges[0], self.edges[-1]
        thresholds: Floats = np.linspace(low, high, THRESHOLDS + 1)
        first: NDArray[np.int64] = np.searchsorted(self.edges, thresholds - (high - low) * 1e-9)
        return [
            self._point(edge)._replace(threshold=threshold)
            for edge, threshold in zip(first.tolist(), thresholds.tolist(), strict=True)
        ]

    def area(self) -> float | None:
        """Returns the area under the ROC curve, of all its points."""
        if not self.has_both_classes:
            return None
        hits, alarms = self._above
        return float(-np.trapezoid(hits / hits[0], alarms / alarms[0]))

    def groups(self) -> list[Group]:
        """Returns groups of about as many rows each, from the lowest predictions to the highest."""
        rows = self.positive + self.negative
        total = rows.sum()
        if total <= 0:
            return []
        # A bucket belongs to the group that its middle row falls into.
        group = np.minimum((np.cumsum(rows) - rows / 2) / total * _GROUPS, _GROUPS - 1).astype(int)
        sums = [np.bincount(group, values, _GROUPS) for values in (rows, self.predictions, self.positive)]
        return [
            Group(n, total / n, hits / n) for n, total, hits in zip(*map(np.ndarray.tolist, sums), strict=True) if n
        ]

    def bins(self) -> list[Bin]:
        """Returns how the predictions of each class are distributed, in bins of the same width."""
        borders = np.linspace(self.edges[0], self.edges[-1], min(_BINS, len(self.edges) - 1) + 1)
        middle = (self.edges[:-1] + self.edges[1:]) / 2
        shares = [
            np.histogram(middle, borders, weights=counts)[0] / (counts.sum() or 1)
            for counts in (self.positive, self.negative)
        ]
        return [
            Bin(low, high, positive, negative)
            for (low, high), positive, negative in zip(
                pairwise(borders.tolist()), *map(np.ndarray.tolist, shares), strict=True
            )
        ]

    @cached_property
    def _above(self) -> tuple[Floats, Floats]:
        """How much of the positive and of the negative is at or above each edge: all at the first, none at the last."""
        positive, negative = (
            np.concatenate([np.cumsum(counts[::-1])[::-1], [0.0]]) for counts in (self.positive, self.negative)
        )
        return positive, negative

    def _point(self, edge: int) -> Point:
        hits, alarms = self._above
        return Point(
            threshold=float(self.edges[edge]),
            true_positives=float(hits[edge]),
            false_positives=float(alarms[edge]),
            false_negatives=float(hits[0] - hits[edge]),
            true_negatives=float(alarms[0] - alarms[edge]),
        )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None

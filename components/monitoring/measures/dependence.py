"""Which two features have to do with each other otherwise than in the training data, whatever each of them does alone.

A window's joint counts of two features' groups are held against those of training, fitted to the window's own shares
of each feature (iterative proportional fitting, Deming and Stephan 1940). What is left is dependence. No feature alone
shows it; and unlike a reconstruction error or a classifier, it says of which features. It is spread over all groups: a
few rows of combinations that training hardly has are counted apart (combinations.py).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from penstock.components.monitoring.measures import distances, null_distribution
from penstock.components.monitoring.measures.bins import GROUPS
from penstock.components.monitoring.measures.counts import WindowCounts
from penstock.components.monitoring.measures.distances import Array
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import OF_FEATURES, Measure, Sensitivity

FEWEST_ROWS = 100  # of a window: of fewer, every seventh of a real table alerted
_FEWEST = 5  # rows of a group, in the window and in training
_ROUNDS = 30  # of fitting
_OF_RARE = 2 / 3  # of the rate for pairs of features, where there are rare combinations


@dataclass(frozen=True)
class DependenceShift:
    """How far the dependence between two features has changed, by a measure, and from where on it alerts."""

    features: tuple[str, str]
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


def compare(
    reference: Reference, counts: WindowCounts, sensitivity: Sensitivity | None = None
) -> list[DependenceShift]:
    """Returns the change of every two of the features that are counted together, the largest first.

    Features that never alert are in no pair. A window of fewer than FEWEST_ROWS has none: most of its groups are empty.
    """
    sensitivity = sensitivity or Sensitivity()
    may_alert = {name for name in counts.paired if not sensitivity.is_silent(reference.bins[name])}
    if min(counts.rows, reference.counts.rows) < FEWEST_ROWS:
        return []
    probability = sensitivity.false_alarm_rate * (1 - OF_FEATURES)
    smallest = sensitivity.smallest
    rare = [index for index, pair in enumerate(reference.combinations.pairs) if may_alert.issuperset(pair.features)]
    of_rare = probability * _OF_RARE if rare else 0.0
    shifts = [
        *_of_groups(reference, counts, may_alert, probability - of_rare, smallest.get("dependence", 0.0)),
        *_of_combinations(reference, counts, rare, of_rare, smallest.get("rare_combinations", 0.0)),
    ]
    return sorted(shifts, key=lambda one: -one.excess)


def _of_groups(
    reference: Reference, counts: WindowCounts, may_alert: Collection[str], probability: float, smallest: float
) -> list[DependenceShift]:
    names = counts.paired
    alerting = np.array([name in may_alert for name in names], bool)
    first, second = np.triu_indices(len(names), 1)
    first, second = (indices[alerting[first] & alerting[second]] for indices in (first, second))
    if not len(first):
        return []
    window, training = (_pairs(one)[first, second] for one in (counts, reference.counts))
    window, training = _of_filled(window, training)
    fitted = _fitted(training, window)
    size = null_distribution.effective_size(counts.rows, reference.counts.rows)
    sizes = size * window.sum((1, 2)) / counts.rows
    fixed = (window.sum(2) > 0).sum(1) + (window.sum(1) > 0).sum(1) - 1
    cells = fitted.reshape(len(first), -1)
    values = distances.jensen_shannon(window.reshape(len(first), -1), cells)
    limits = null_distribution.jensen_shannon(distances.shares(cells), sizes, probability / len(first), fixed)
    limits = np.maximum(limits, smallest)
    return [
        DependenceShift((names[one], names[other]), "dependence", float(value), float(limit), counts.rows)
        for one, other, value, limit in zip(first, second, values, limits, strict=True)
    ]


def _of_combinations(
    reference: Reference, counts: WindowCounts, rare: Sequence[int], probability: float, smallest: float
) -> list[DependenceShift]:
    """Returns how many more rows than in training have combinations that training hardly has, for pairs by indices.

    What training has is taken off: else a window as it is may be so near the threshold that no alert ever ends.
    """
    if not rare:
        return []
    pairs = [reference.combinations.pairs[index] for index in rare]
    found, rows = (np.array([getattr(pair, name) for pair in pairs], np.int64) for name in ("found", "rows"))
    limits = null_distribution.excess_over_sample(found, rows, counts.rows, probability / len(rare))
    usual = found / np.maximum(rows, 1)
    limits = np.maximum(limits - usual, smallest)
    values = np.maximum(counts.rare[np.array(rare)] / counts.rows - usual, 0.0)
    return [
        DependenceShift(pair.features, "rare_combinations", float(value), float(limit), counts.rows)
        for pair, value, limit in zip(pairs, values, limits, strict=True)
    ]


def _pairs(counts: WindowCounts) -> Array:
    """Returns a table of groups for each two features."""
    features = len(counts.paired)
    return counts.joint.reshape(features, GROUPS, features, GROUPS).swapaxes(1, 2).astype(np.float64)


def _of_filled(window: Array, training: Array) -> tuple[Array, Array]:
    """Returns both tables without the groups that have few rows in one of them: these say nothing of dependence."""
    for axis in (1, 2):
        filled = np.minimum(window.sum(axis, keepdims=True), training.sum(axis, keepdims=True)) >= _FEWEST
        window, training = window * filled, training * filled
    return window, training


def _fitted(training: Array, window: Array) -> Array:
    """Returns the tables of training with the sums of the window's in each row and each column.

    A cell that training leaves empty gets half a row, if its sums allow: it is not known to be impossible.
    """
    rows, columns = training.sum(2, keepdims=True), training.sum(1, keepdims=True)
    total = np.maximum(training.sum((1, 2), keepdims=True), 1)
    fitted = training + 0.5 * rows * columns / total**2 * (GROUPS - 1)
    for _ in range(_ROUNDS):
        for axis in (2, 1):
            sums = fitted.sum(axis, keepdims=True)
            fitted = fitted * window.sum(axis, keepdims=True) / np.where(sums > 0, sums, 1)
    return np.asarray(fitted)

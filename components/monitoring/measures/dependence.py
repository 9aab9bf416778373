"""Which two features have to do with each other otherwise than in the training data, whatever each of them does alone.

A window's joint counts of two features' groups are held against those of training, fitted to the window's own shares
of each feature (iterative proportional fitting, Deming and Stephan 1940). What is left is dependence. No feature alone
shows it; and unlike a reconstruction error or a classifier, it says of which features.
"""

from dataclasses import dataclass

import numpy as np

from penstock.components.monitoring.measures import distances, null_distribution
from penstock.components.monitoring.measures.bins import GROUPS
from penstock.components.monitoring.measures.counts import WindowCounts
from penstock.components.monitoring.measures.distances import Array
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import OF_FEATURES, Sensitivity

FEWEST_ROWS = 100  # of a window: of fewer, every seventh of a real table alerted
_FEWEST = 5  # rows of a group, in the window and in training
_ROUNDS = 30  # of fitting


@dataclass(frozen=True)
class DependenceShift:
    """How far the dependence between two features has changed (Jensen-Shannon), and from where on it alerts."""

    features: tuple[str, str]
    value: float
    threshold: float
    rows: int

    @property
    def alerts(self) -> bool:
        """Whether it exceeds its threshold."""
        return self.value > self.threshold


def compare(
    reference: Reference, counts: WindowCounts, sensitivity: Sensitivity | None = None
) -> list[DependenceShift]:
    """Returns the change of every two of the features that are counted together, the largest first.

    Features that never alert are in no pair. A window of fewer than FEWEST_ROWS has none: most of its groups are empty.
    """
    sensitivity = sensitivity or Sensitivity()
    names = counts.paired
    may_alert = np.array([not sensitivity.is_silent(reference.bins[name]) for name in names], bool)
    first, second = np.triu_indices(len(names), 1)
    first, second = (indices[may_alert[first] & may_alert[second]] for indices in (first, second))
    if not len(first) or min(counts.rows, reference.counts.rows) < FEWEST_ROWS:
        return []
    window, training = (_pairs(one)[first, second] for one in (counts, reference.counts))
    window, training = _of_filled(window, training)
    fitted = _fitted(training, window)
    size = null_distribution.effective_size(counts.rows, reference.counts.rows)
    sizes = size * window.sum((1, 2)) / counts.rows
    probability = sensitivity.false_alarm_rate * (1 - OF_FEATURES) / len(first)
    fixed = (window.sum(2) > 0).sum(1) + (window.sum(1) > 0).sum(1) - 1
    cells = fitted.reshape(len(first), -1)
    values = distances.jensen_shannon(window.reshape(len(first), -1), cells)
    limits = null_distribution.jensen_shannon(distances.shares(cells), sizes, probability, fixed)
    limits = np.maximum(limits, sensitivity.smallest.get("dependence", 0.0))
    order = np.argsort(-values / limits, kind="stable")
    return [
        DependenceShift((names[first[at]], names[second[at]]), float(values[at]), float(limits[at]), counts.rows)
        for at in order
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

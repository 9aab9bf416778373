"""What tells how sure metrics are: how far means are off by chance, and how many examples proportions are of.

It is added up beside the metrics. Of weighted examples the effective number counts, (Σw)² / Σw²: L. Kish, Survey
Sampling, 1965.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from tensorflow_model_analysis.metrics.metric_types import MetricKey

from penstock.components.evaluator.metrics.batch import Accumulator, Batch
from penstock.components.evaluator.metrics.comparison import Comparison
from penstock.components.evaluator.metrics.sums import Sums, beside

MOMENTS = 3  # that `moments` returns
_GROUPS = 4  # of examples, as in ClassSizes
_CALLED = 0.5  # TFMA's threshold for what is called positive


@dataclass(frozen=True)
class Spread:
    """The standard error of a mean, and the effective number of examples that it is of."""

    standard_error: float
    examples: float

    def of_root(self, root: float) -> "Spread":
        """Returns that of the mean's root, by the delta method."""
        return Spread(self.standard_error / (2 * root) if root else 0.0, self.examples)


def moments(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns what `spread` needs the sums of, besides those of the weighted `values` and of the weights."""
    return values * values, values * weights, weights * weights


def moments_of_examples(rows: np.ndarray, values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the moments of entries that are of these examples: entries of one example are not independent.

    They are those of an example's sums, at its first entry, and 0 at its others.
    """
    if np.all(rows[1:] > rows[:-1]):  # one entry an example
        return moments(values, weights)
    _, first, places = np.unique(rows, return_index=True, return_inverse=True)
    of_first: np.ndarray = np.zeros((MOMENTS, len(rows)))
    of_first[:, first] = moments(*(np.bincount(places, weights=part) for part in (values, weights)))
    return tuple(of_first)


def spread(value: float, weight: float, moments: Sequence[float]) -> Spread | None:
    """Returns the spread of the mean that is the ratio of two sums; None of fewer than two examples.

    By linearization, which treats the sum of weights as random as well: W. Cochran, Sampling Techniques, 1977, 6.4.
    """
    squares, products, weights = moments
    if not (weight > 0 and weights > 0):
        return None
    mean, examples = value / weight, weight * weight / weights
    residual = squares - 2 * mean * products + mean * mean * weights
    if not (examples >= 2 and math.isfinite(residual)):
        return None
    variance = max(residual, 0.0) / (weight * weight) * examples / (examples - 1)
    return Spread(math.sqrt(variance), examples)


@dataclass(frozen=True)
class ClassSizes:
    """Effective numbers of examples of a binary problem: all, of each class, and those that are called positive."""

    all: float
    positive: float
    negative: float
    called: float


@dataclass(frozen=True)
class Evidence:
    """What tells how sure the metrics of a slice are. `classes` are without weights and with them."""

    spreads: Mapping[MetricKey, Spread] = field(default_factory=dict)
    classes: tuple[ClassSizes, ClassSizes] | None = None


class BinaryCounts(Accumulator):
    """The sizes of the classes, as a model's labels and predictions have them: one number of each example.

    `weighted` says whether examples have weights; to ask for those that there are not takes a look at each example.
    """

    def __init__(self, model: str, *, weighted: bool):
        self._compared, self._sums = Comparison(model, weighted=weighted), Sums(3 * _GROUPS)

    def add(self, batch: Batch) -> None:
        for block in batch.blocks(self._compared):
            positions, codes = batch.memberships.expand(block.rows)
            labels, predictions, weights = (np.asarray(part, np.float64) for part in block[1:])
            called = (predictions > _CALLED).astype(np.float64)
            groups = (np.ones(len(labels)), labels, 1 - labels, called)
            columns = [part for group in groups for part in (group, weights * group, weights * weights * group)]
            self._sums.add(codes, beside(*columns)[positions])

    def merge(self, other: Self, codes: np.ndarray) -> None:
        self._sums.merge(other._sums, codes)

    def of(self, code: int) -> tuple[ClassSizes, ClassSizes]:
        """Returns the sizes in the slice with this code, without weights and with them."""
        counts, weights, squares = self._sums.of(code).reshape(_GROUPS, 3).T
        effective = np.divide(weights * weights, squares, out=np.zeros(_GROUPS), where=squares > 0)
        return ClassSizes(*counts.tolist()), ClassSizes(*effective.tolist())

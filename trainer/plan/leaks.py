"""A label that leaks through a feature: one that all but gives the label away, and is most often not known in time.

Each input alone predicts the label: its values are put into groups, half of the rows say what the label is in each
group, and the other half scores that. What a whole model would need to be good at is then the work of one column.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.trainer.plan.plan import Date, Plan, Sparse

logger = logging.getLogger(__name__)
NEAR_ONE = 0.999
_ROWS = 50_000  # that are looked at
_FEWEST = 50  # rows; of fewer, chance does it
_GROUPS = 256
_ROWS_OF_A_GROUP = 10

type Array = npt.NDArray[Any]


def warn(plan: Plan, inputs: Mapping[str, Array], label: Array) -> list[str]:
    """Logs a warning for each column that gives the label away, and returns their names.

    inputs: model inputs by name, [rows, …]; label: [rows, 1].
    """
    scores: dict[str, str] = {}  # by column
    rows = min(len(label), _ROWS)
    if rows < _FEWEST:
        return []
    chosen = np.linspace(0, len(label) - 1, rows).astype(np.int64)
    target = label[chosen, 0]
    for feature in plan.features:
        for name in feature.outputs if isinstance(feature, Date | Sparse) else (feature.output,):
            values = inputs[name][chosen]
            if values.shape[1] == 1 or values.dtype.kind == "f":  # a bag of ids has no groups
                score = _score(values, target, plan.label.problem)
                if score and feature.name not in scores:
                    scores[feature.name] = score
    for column, score in scores.items():
        logger.warning(
            "feature %s alone gives the label %s away (%s on other rows): is it known when the model is asked? if not, "
            "features: {%s: {ignore: true}}",
            column,
            plan.label.name,
            score,
            column,
        )
    return list(scores)


def _groups(values: Array) -> npt.NDArray[np.int64]:
    """Returns the number of the group that each row is in: an id, or a range of numbers, the missing ones apart."""
    if values.dtype.kind != "f":
        return np.unique(values[:, 0], return_inverse=True)[1].astype(np.int64)
    places = np.unique(values[:, 0], return_inverse=True)[1]
    most = min(_GROUPS, len(values) // _ROWS_OF_A_GROUP)
    if places.max() >= most:  # as many rows in each range
        order = np.argsort(np.argsort(values[:, 0], kind="stable"), kind="stable")
        places = order * most // len(order)
    return np.where(values[:, 1] > 0, 0, 1 + places).astype(np.int64)


def _score(values: Array, target: Array, problem: str) -> str:
    """Returns how well the values of one half of the rows tell the label in the other half, "" if not nearly all."""
    groups = _groups(values)
    learn, test = slice(0, None, 2), slice(1, None, 2)
    size = int(groups.max()) + 1
    counts = np.bincount(groups[learn], minlength=size)
    if problem == "multiclass":
        classes = int(target.max()) + 1
        table = np.bincount(groups[learn] * classes + target[learn].astype(np.int64), minlength=size * classes)
        share = float(np.mean(table.reshape(size, classes).argmax(axis=1)[groups[test]] == target[test]))
        return f"accuracy {share:.4f}" if share >= NEAR_ONE else ""
    mean = float(np.mean(target[learn]))
    sums = np.bincount(groups[learn], weights=target[learn], minlength=size)
    predicted = np.where(counts > 0, sums / np.maximum(counts, 1), mean)[groups[test]]
    actual = target[test]
    if problem == "binary":
        area = _area(predicted, actual > 0.5)
        if values.dtype.kind == "f":  # ranges are coarse where a number is above a bound or below
            whole = _area(values[:, 0], target > 0.5)
            area = max(area, whole, 1 - whole)
        return f"AUC {area:.4f}" if area >= NEAR_ONE else ""
    correlation = _correlation(predicted, actual)
    if values.dtype.kind == "f":
        correlation = max(correlation, abs(_correlation(_ranks(values[:, 0]), _ranks(target))))
    return f"correlation {correlation:.4f}" if correlation >= NEAR_ONE else ""


def _correlation(one: Array, other: Array) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 and other.std() > 0 else 0.0


def _area(score: Array, positive: npt.NDArray[np.bool_]) -> float:
    """The area under the ROC curve, by ranks; ties count half."""
    ranks = _ranks(score)
    ones = int(positive.sum())
    zeros = len(positive) - ones
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros)) if ones and zeros else 0.5


def _ranks(values: Array) -> Array:
    """Ranks from 1; values that are equal share the middle of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks

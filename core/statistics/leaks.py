"""How well one column alone tells the label, beside what is told without any column.

The values are put into groups; one half of the rows says what the label is in each group, and the other half scores
that. What a whole model would need to be good at is then the work of one column: most often the label itself in other
words, or what is known only after it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.core.labels import Problem
from penstock.core.page import numbers

BOUND = 0.98  # of an AUC, of R² and of the share of rows that are told right
_FEWEST = 50  # rows; of fewer, chance does it
_FEWEST_OF_A_CLASS = 5  # in each half, of two classes
_OF_THE_REST = 0.9  # of the rows that the most frequent class gets wrong
_GROUPS = 256
_ROWS_OF_A_GROUP = 10

type Array = npt.NDArray[Any]
type Groups = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """How well a column tells the label of rows that were not looked at, in words, and whether that is too well."""

    text: str
    gives_away: bool


@dataclass(frozen=True)
class Values:
    """A column's values in some rows: the group of each, from 0 on, and whether there is none; of numbers also these.

    `measures` are finite in every row, whatever stands for the missing ones.
    """

    groups: Groups
    missing: npt.NDArray[np.bool_]
    measures: Array | None = None

    @classmethod
    def of_numbers(cls, measures: Array, missing: npt.NDArray[np.bool_]) -> "Values":
        """Groups numbers by ranges with as many rows in each, the missing ones apart."""
        places = np.unique(measures, return_inverse=True)[1].astype(np.int64)
        most = max(1, min(_GROUPS, len(measures) // _ROWS_OF_A_GROUP))
        if len(places) and places.max() >= most:
            order = np.argsort(np.argsort(measures, kind="stable"), kind="stable")
            places = order * most // len(order)
        return cls(np.where(missing, 0, 1 + places).astype(np.int64), missing, measures)

    @classmethod
    def of_ids(cls, ids: Array, missing: npt.NDArray[np.bool_]) -> "Values":
        """Makes a group of each id."""
        return cls(np.unique(ids, return_inverse=True)[1].astype(np.int64), missing)


def find(values: Values, target: Array, problem: Problem) -> str:
    """Returns a phrase that says how a column gives the label away, "" if it does not.

    target: the label of the rows: 0 or 1 (binary), the class's index (multiclass) or a number (regression).
    """
    if len(target) < _FEWEST:
        return ""
    if 0 < np.count_nonzero(values.missing) < len(target):
        alone = score(Values(values.missing.astype(np.int64), values.missing), target, problem)
        if alone is not None and alone.gives_away:
            return f"by whether it has a value ({alone.text})"
    whole = score(values, target, problem)
    return f"({whole.text})" if whole is not None and whole.gives_away else ""


def score(values: Values, target: Array, problem: Problem) -> Score | None:
    """Returns how well the values of one half of the rows tell the label in the other; None if too few say it."""
    if problem == "multiclass":
        return _of_classes(values.groups, target.astype(np.int64))
    means = _means(values.groups, target)
    if problem == "binary":
        return _of_two_classes(values, means, target > 0.5)
    return _of_numbers(values, means, target)


def _of_classes(groups: Groups, target: Groups) -> Score:
    learn, test = _halves(len(target))
    classes, size = int(target.max()) + 1, int(groups.max()) + 1
    cells = groups[learn] * classes + target[learn]
    most_frequent = np.bincount(target[learn], minlength=classes).argmax()
    classes_told = np.full(size, most_frequent)
    ordered, counts = np.unique(cells, return_counts=True)
    by_count = np.argsort(counts, kind="stable")  # of a group's classes the most frequent one is set last
    classes_told[ordered[by_count] // classes] = ordered[by_count] % classes
    share = float(np.mean(classes_told[groups[test]] == target[test]))
    trivial = float(np.mean(target[test] == most_frequent))
    told, always = numbers.percentage(share), numbers.percentage(trivial)
    gives_away = share >= BOUND and share - trivial >= _OF_THE_REST * (1 - trivial)
    return Score(f"right in {told} of other rows; always the most frequent class in {always}", gives_away)


def _of_two_classes(values: Values, means: Array, positive: npt.NDArray[np.bool_]) -> Score | None:
    _, test = _halves(len(positive))
    rarer = min(np.count_nonzero(positive[test]), np.count_nonzero(~positive[test]))
    if rarer < _FEWEST_OF_A_CLASS:
        return None
    area = _area(means, positive[test])
    if values.measures is not None:  # ranges are coarse where a number is above a bound or below
        whole = _area(values.measures, positive)
        area = max(area, whole, 1 - whole)
    return Score(f"AUC {numbers.number(area)} on other rows; chance has 0.5", area >= BOUND)


def _of_numbers(values: Values, means: Array, target: Array) -> Score:
    actual = target[_halves(len(target))[1]]
    variance = float(np.mean((actual - actual.mean()) ** 2))
    determined = 1 - float(np.mean((actual - means) ** 2)) / variance if variance > 0 else 0.0
    if values.measures is not None:  # ranges are coarse here too: a straight line, and any that only rises or falls
        known = ~values.missing
        share = np.count_nonzero(known) / len(known)
        if share >= BOUND:
            line = _correlation(values.measures[known], target[known]) ** 2
            ranks = _correlation(_ranks(values.measures[known]), _ranks(target[known])) ** 2
            determined = max(determined, line, ranks)
    return Score(f"R² {numbers.number(determined)} on other rows; always the mean has 0", determined >= BOUND)


def _means(groups: Groups, target: Array) -> Array:
    """Returns the label's mean in each row's group, of the rows to test by those to learn from."""
    learn, test = _halves(len(target))
    size = int(groups.max()) + 1
    counts = np.bincount(groups[learn], minlength=size)
    sums = np.bincount(groups[learn], weights=target[learn], minlength=size)
    means: Array = np.where(counts > 0, sums / np.maximum(counts, 1), np.mean(target[learn]))[groups[test]]
    return means


def _halves(rows: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Returns which rows are to learn from, and which to test by: by chance, as rows may take turns in a table."""
    learn: npt.NDArray[np.bool_] = np.random.default_rng(0).random(rows) < 0.5
    return learn, ~learn


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

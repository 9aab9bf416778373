"""Folds for cross-validation: pairs of the indices of the rows to train on and of the rows to evaluate on.

The methods are scikit-learn's KFold, StratifiedKFold, GroupKFold, and TimeSeriesSplit, which here keeps rows of the
same moment together. Every row is evaluated once, except for the oldest ones of a time series.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from penstock.core.errors import DataError

type Rows = npt.NDArray[np.int64]
type Fold = tuple[Rows, Rows]


def k_fold(rows: int, folds: int, seed: int) -> list[Fold]:
    """Divides the rows at random into parts of (nearly) the same size, one to evaluate on in each fold.

    Raises a DataError if there are fewer rows than folds.
    """
    _require(rows, folds, "rows", "")
    part: Rows = np.empty(rows, np.int64)
    part[np.random.default_rng(seed).permutation(rows)] = np.arange(rows) % folds
    return _parts(part, folds)


def stratified(classes: Sequence[object] | np.ndarray, folds: int, seed: int) -> list[Fold]:
    """Divides the rows so that each part has (nearly) the same share of each class.

    classes: the class of each row.

    Raises a DataError if a class has fewer rows than there are folds.
    """
    values, codes, counts = np.unique(np.asarray(classes), return_inverse=True, return_counts=True)
    rarest = int(np.argmin(counts))
    _require(int(counts[rarest]), folds, "rows", f" of class {_shown(values[rarest])}")
    # Rows in a random order, then sorted by class and dealt out in turn: each class goes to all parts evenly.
    order = np.random.default_rng(seed).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    part: Rows = np.empty(len(codes), np.int64)
    part[order] = np.arange(len(codes)) % folds
    return _parts(part, folds)


def group(groups: Sequence[object] | np.ndarray, folds: int, seed: int) -> list[Fold]:
    """Keeps the rows of a group in one part: from the largest group on, each goes into the smallest part.

    groups: the group of each row.

    Raises a DataError if there are fewer groups than folds.
    """
    _, codes, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    _require(len(counts), folds, "groups", "")
    shuffled = np.random.default_rng(seed).permutation(len(counts))  # the seed decides between groups of equal size
    sizes: Rows = np.zeros(folds, np.int64)
    part_of: Rows = np.empty(len(counts), np.int64)
    for code in shuffled[np.argsort(-counts[shuffled], kind="stable")]:
        part_of[code] = smallest = int(np.argmin(sizes))
        sizes[smallest] += counts[code]
    return _parts(part_of[codes], folds)


def time_series(times: Sequence[object] | np.ndarray, folds: int) -> list[Fold]:
    """Trains on the past and evaluates on what follows.

    times: the time of each row, of any type that can be sorted.

    The rows are divided by time into folds + 1 stretches of about equal size. Fold i trains on the first i stretches
    and evaluates on the next one. Rows of the same moment are in one stretch.

    Raises a DataError if there are not more moments than folds.
    """
    moments, codes, counts = np.unique(np.asarray(times), return_inverse=True, return_counts=True)
    _require(len(moments), folds + 1, "moments", "", f"{folds} folds of a time series need one more")
    # A moment belongs to the stretch of its middle row; each stretch gets at least one moment.
    middle = (np.cumsum(counts) - counts / 2) / len(codes)
    stretch = np.minimum((middle * (folds + 1)).astype(np.int64), folds)
    for index in range(len(moments)):
        earliest = 0 if index == 0 else stretch[index - 1]
        latest = folds - (len(moments) - 1 - index)  # the later stretches need the moments that are left
        stretch[index] = np.clip(stretch[index], max(earliest, latest), earliest + 1 if index else 0)
    part = stretch[codes]
    return [(np.flatnonzero(part < fold), np.flatnonzero(part == fold)) for fold in range(1, folds + 1)]


def _parts(part: Rows, folds: int) -> list[Fold]:
    return [(np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in range(folds)]


def _require(count: int, needed: int, unit: str, where: str, reason: str = "one for each fold") -> None:
    if count < needed:
        raise DataError(
            f"cross_validation: expected at least {needed} {unit}{where}, {reason}, found {count}: "
            "lower tuning.cross_validation.folds or give more data"
        )


def _shown(value: object) -> str:
    return repr(value.item() if hasattr(value, "item") else value)

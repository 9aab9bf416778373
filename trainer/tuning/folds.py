"""How rows are divided for cross-validation: pairs of indices, of the rows to train on and of those to evaluate on.

The methods are scikit-learn's KFold, StratifiedKFold, GroupKFold, and TimeSeriesSplit with rows of one moment kept
together. Every row is evaluated once, but for the oldest ones of a time series.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.core.errors import DataError

type Rows = npt.NDArray[np.int64]
type Fold = tuple[Rows, Rows]


def k_fold(rows: int, folds: int, seed: int) -> list[Fold]:
    """Divides the rows at random into parts of the same size; each is evaluated once, the others are trained on."""
    _require(rows, folds, "rows", "")
    part: Rows = np.empty(rows, np.int64)
    part[np.random.default_rng(seed).permutation(rows)] = np.arange(rows) % folds
    return _parts(part, folds)


def stratified(classes: Sequence[Any] | npt.NDArray[Any], folds: int, seed: int) -> list[Fold]:
    """As k_fold, each class's rows on their own: all parts hold (nearly) the same share of each class.

    Raises a DataError that names a class with fewer rows than there are folds.
    """
    values, codes, counts = np.unique(np.asarray(classes), return_inverse=True, return_counts=True)
    rarest = int(np.argmin(counts))
    _require(int(counts[rarest]), folds, "rows", f" of class {_shown(values[rarest])}")
    # Rows at random, then sorted by class: dealt out in turn, a class's rows go to all parts, and so do all rows.
    order = np.random.default_rng(seed).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    part: Rows = np.empty(len(codes), np.int64)
    part[order] = np.arange(len(codes)) % folds
    return _parts(part, folds)


def group(groups: Sequence[Any] | npt.NDArray[Any], folds: int, seed: int) -> list[Fold]:
    """Keeps rows of one group in one part: the largest group first, always into the smallest part."""
    _, codes, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    _require(len(counts), folds, "groups", "")
    shuffled = np.random.default_rng(seed).permutation(len(counts))  # so that equal sizes fall differently by seed
    sizes: Rows = np.zeros(folds, np.int64)
    part_of: Rows = np.empty(len(counts), np.int64)
    for code in shuffled[np.argsort(-counts[shuffled], kind="stable")]:
        part_of[code] = smallest = int(np.argmin(sizes))
        sizes[smallest] += counts[code]
    return _parts(part_of[codes], folds)


def time_series(times: Sequence[Any] | npt.NDArray[Any], folds: int) -> list[Fold]:
    """Trains on the past and evaluates on what comes next, forward through folds + 1 stretches of about equal size.

    Fold i trains on the first i stretches and evaluates on the next one. Rows of the same moment are in one stretch.
    """
    moments, codes, counts = np.unique(np.asarray(times), return_inverse=True, return_counts=True)
    _require(len(moments), folds + 1, "moments", "", f"{folds} folds of a time series need one more")
    # A moment belongs to the stretch that its middle row falls into; each stretch gets one at least.
    middle = (np.cumsum(counts) - counts / 2) / len(codes)
    stretch = np.minimum((middle * (folds + 1)).astype(np.int64), folds)
    for index in range(len(moments)):
        earliest = 0 if index == 0 else stretch[index - 1]
        latest = folds - (len(moments) - 1 - index)  # the rest needs the moments that are left
        stretch[index] = np.clip(stretch[index], max(earliest, latest), earliest + 1 if index else 0)
    part = stretch[codes]
    return [(np.flatnonzero(part < fold), np.flatnonzero(part == fold)) for fold in range(1, folds + 1)]


def _parts(part: Rows, folds: int) -> list[Fold]:
    return [(np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in range(folds)]


def _require(found: int, needed: int, of: str, where: str, why: str = "") -> None:
    if found < needed:
        raise DataError(
            f"cross_validation: expected at least {needed} {of}{where}, {why or 'one for each fold'}, found {found}: "
            "lower tuning.cross_validation.folds or give more data"
        )


def _shown(value: Any) -> str:
    return repr(value.item() if hasattr(value, "item") else value)

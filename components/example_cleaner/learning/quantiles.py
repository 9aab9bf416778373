"""Exact quantiles of any number of values in bounded memory.

A pass over a shard writes its values sorted, as integers in the same order as the numbers. The value of a rank is found
by bisection over these integers, 64 steps at most: how many values are not above it is counted in each file by a binary
search. Files are mapped into memory, so a few pages of each are read.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from penstock.core.files import atomic

type Keys = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]

MAD_SCALE = 1.4826022185056018  # 1 / the quantile 0.75 of the standard normal distribution


def keys(values: Floats) -> Keys:
    """Returns integers in the order of numbers; NaN is none of these."""
    bits: Keys = np.ascontiguousarray(values, np.float64).view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(0x7FFFFFFFFFFFFFFF), bits)


def numbers(of: Keys) -> Floats:
    """Returns the numbers that `keys` has made integers of."""
    bits: Keys = np.where(of < 0, of ^ np.int64(0x7FFFFFFFFFFFFFFF), of)
    return bits.view(np.float64)


def write(path: Path, values: Floats) -> Path:
    """Writes numbers, sorted, as keys."""
    with atomic.replacing(path) as temporary, open(temporary, "wb") as file:
        np.save(file, np.sort(keys(values)))
    return path


def deviations(path: Path, centre: float) -> Path:
    """Writes how far the numbers of a file are from another, to a file beside it."""
    away = np.abs(numbers(np.load(path)) - centre)
    return write(path.with_name(f"{path.stem}-deviations{path.suffix}"), away)


class Sorted:
    """The numbers of several files, as one sorted sequence."""

    def __init__(self, files: Sequence[Path]):
        self._runs: list[Keys] = [np.load(path, mmap_mode="r") for path in files]
        self.count = sum(map(len, self._runs))

    def at(self, rank: int) -> float:
        """Returns the number of a rank, from 0 on."""
        low = min(int(run[0]) for run in self._runs if len(run))
        high = max(int(run[-1]) for run in self._runs if len(run))
        while low < high:
            middle = (low + high) // 2
            if sum(int(np.searchsorted(run, np.int64(middle), "right")) for run in self._runs) > rank:
                high = middle
            else:
                low = middle + 1
        return float(numbers(np.array([low]))[0])

    def quantile(self, share: float) -> float:
        """Returns a quantile, interpolated as NumPy and pandas do it by default."""
        place = share * (self.count - 1)
        rank = int(np.floor(place))
        part = place - rank
        low = self.at(rank)
        if not part:
            return low
        high = self.at(rank + 1)
        span = high - low
        return high - span * (1 - part) if part >= 0.5 else low + span * part

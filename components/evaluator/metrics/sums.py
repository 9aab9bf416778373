"""Sums for each slice, and for each bucket of each slice: what accumulators are made of."""

from typing import Self

import numpy as np

_COMPACT = 1 << 17  # entries that are kept unsorted
_DENSE = 1 << 20  # keys that are counted rather than sorted


class Sums:
    """Sums of several quantities for each slice."""

    def __init__(self, quantities: int):
        self.totals = np.zeros((0, quantities))

    def add(self, codes: np.ndarray, values: np.ndarray) -> None:
        """Adds a row of `values` to the slice of each code; they have shape [codes, quantities]."""
        if not len(codes):
            return
        self._reserve(int(codes.max()) + 1)
        size = len(self.totals)
        for quantity in range(self.totals.shape[1]):
            self.totals[:, quantity] += np.bincount(codes, weights=values[:, quantity], minlength=size)

    def merge(self, other: Self, codes: np.ndarray) -> None:
        """Adds the sums of another, whose slices have these codes here; several may have the same."""
        places = codes[: len(other.totals)]
        if len(places):
            self._reserve(int(places.max()) + 1)
            np.add.at(self.totals, places, other.totals)

    def of(self, code: int) -> np.ndarray:
        """Returns the sums of a slice; zeros if nothing was added to it."""
        return self.totals[code] if code < len(self.totals) else np.zeros(self.totals.shape[1])

    def _reserve(self, size: int) -> None:
        missing = size - len(self.totals)
        if missing > 0:
            self.totals = np.concatenate([self.totals, np.zeros((missing, self.totals.shape[1]))])


class BucketSums:
    """Sums for each bucket of each slice; only buckets that something was added to take memory."""

    def __init__(self, buckets: int, quantities: int):
        self._buckets, self._quantities = buckets, quantities
        self._keys: np.ndarray = np.zeros(
            0, np.int64
        )  # of a slice and a bucket: sorted, but for those that were added last
        self._values = np.zeros((0, quantities))
        self._added: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, codes: np.ndarray, buckets: np.ndarray, values: np.ndarray) -> None:
        """Adds a row of `values`, of shape [codes, quantities], to a bucket of the slice of each code."""
        self._append(*_summed(codes.astype(np.int64) * self._buckets + buckets, values))

    def merge(self, other: Self, codes: np.ndarray) -> None:
        """Adds the sums of another, whose slices have these codes here."""
        other.compact()
        places, buckets = np.divmod(other._keys, self._buckets)
        self._append(codes[places] * self._buckets + buckets, other._values)

    def of(self, code: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the buckets of a slice that have something, in order, and their sums."""
        self.compact()
        start, end = (int(np.searchsorted(self._keys, edge * self._buckets)) for edge in (code, code + 1))
        return self._keys[start:end] - code * self._buckets, self._values[start:end]

    def compact(self) -> None:
        """Brings what was added last into the sorted order."""
        if self._added:
            parts = [(self._keys, self._values), *self._added]
            keys, values = (np.concatenate(column) for column in zip(*parts, strict=True))
            self._keys, self._values = _summed(keys, values)
            self._added = []

    def _append(self, keys: np.ndarray, values: np.ndarray) -> None:
        self._added.append((keys, values))
        if sum(len(part) for part, _ in self._added) > max(_COMPACT, len(self._keys)):
            self.compact()

    def __getstate__(self) -> dict[str, object]:
        self.compact()
        return self.__dict__


def beside(*columns: np.ndarray) -> np.ndarray:
    """Returns arrays of equal length side by side, of shape [length, arrays]."""
    table: np.ndarray = np.stack(columns, axis=1)
    return table


def _summed(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct keys, sorted, and the sums of the values of each."""
    if len(keys) and int(keys.max()) < _DENSE:  # counting takes a tenth of the time that sorting takes
        distinct = np.flatnonzero(np.bincount(keys))
        columns = [np.bincount(keys, weights=column)[distinct] for column in values.T]
    else:
        distinct, places = np.unique(keys, return_inverse=True)
        columns = [np.bincount(places, weights=column, minlength=len(distinct)) for column in values.T]
    return distinct, beside(*columns)

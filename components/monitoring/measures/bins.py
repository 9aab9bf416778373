"""The bins in which the values of a feature are counted, made once from training data.

Numbers fall between quantiles, categories are counted each, and of text the length in bytes is (and its words, see
vocabulary.py). So one array of counts says what a feature looks like, and counts of shards add up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.monitoring.measures.distances import Indices
from penstock.components.monitoring.measures.vocabulary import Vocabulary
from penstock.core.errors import DataError

Kind = Literal["number", "category", "text"]

GROUPS = 5  # of a feature's values in joint counts: four of about as many rows each, and the missing ones
_NUMBERS = 128  # bins of numbers, if more of them differ
_CATEGORIES = 1000  # up to which each has a bin
_FREQUENT = 0.01  # of the values: of more categories, those with as many have a bin each
_MOSTLY_DIFFERENT = 0.5  # of the values of text


@dataclass(frozen=True)
class FeatureBins:
    """A feature's bins.

    Of numbers and lengths, bin 0 is below the training data's range, and the last one above it. `edges` are the lower
    ends of the other bins, and the lower end of the last. Of categories, the last bin is for all that are not in
    `values`.

    unseen: The share of values beyond those of training that a like sample has. Of the 1/n that a new value is beyond
        the least of n, and as much beyond the greatest; of categories the share of those that are there once
        (Good 1953), -1 if rare ones have no bin.
    groups: For each bin the group in joint counts, below GROUPS - 1.
    vocabulary: The words, of text.
    """

    name: str
    kind: Kind
    edges: tuple[float, ...]
    values: tuple[bytes, ...]
    unseen: float
    groups: tuple[int, ...]
    vocabulary: Vocabulary | None = None

    @property
    def size(self) -> int:
        """How many bins there are."""
        return len(self.groups)

    @property
    def is_complete(self) -> bool:
        """Whether the bins know all values of training, so that any other value is a new one."""
        return self.kind == "category" and self.unseen >= 0

    def place(self, values: pa.Array) -> Indices:
        """Returns the bin of each value, -1 of those that are none: nulls and NaN."""
        if self.kind == "category":
            indices = pc.index_in(texts(values), value_set=pa.array(self.values, pa.large_binary()))
            known = pc.fill_null(indices, len(self.values))
            return np.asarray(pc.if_else(pc.is_valid(values), known, -1).to_numpy(zero_copy_only=False), np.int64)
        return _between(self.edges, measured(values, self))

    @classmethod
    def of(cls, name: str, values: pa.Array, kind: Kind | None = None) -> "FeatureBins":
        """Makes bins of values of training data.

        kind: What the feature is; by default numbers are numbers, and strings are text if most of them differ.
        """
        kind = kind or _kind(values)
        if kind == "category":
            return _categories(name, values)
        edges, counts = _quantiles(measured(values, cls(name, kind, (), (), 0, ())))
        unseen = 1 / max(1, int(counts.sum()))
        vocabulary = Vocabulary.of(texts(values)) if kind == "text" else None
        return cls(name, kind, tuple(edges.tolist()), (), unseen, _groups_of_neighbours(counts), vocabulary)


def measured(values: pa.Array, bins: FeatureBins) -> npt.NDArray[np.float64]:
    """Returns numbers as they are, and of text the length."""
    if bins.kind == "text":
        return np.asarray(pc.binary_length(texts(values)).to_numpy(zero_copy_only=False), np.float64)
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)):
        raise DataError(f"feature {bins.name!r}: expected numbers, as in the training data, found {values.type}")
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def texts(values: pa.Array) -> pa.Array:
    """Returns values as strings of bytes, whole numbers as people write them."""
    if pa.types.is_large_binary(values.type):
        return values
    if not (
        pa.types.is_binary(values.type) or pa.types.is_large_string(values.type) or pa.types.is_string(values.type)
    ):
        values = values.cast(pa.large_string())
    return values.cast(pa.large_binary())


def feature_bins(sample: pa.Table, kinds: Mapping[str, Kind]) -> dict[str, FeatureBins]:
    """Makes the bins of features from a sample of rows, columns of lists; a feature without any value has none.

    NaN is no value, nor is infinity where there is nothing else.
    """
    result = {}
    for name in sample.column_names:
        values = pc.list_flatten(sample.column(name)).combine_chunks().drop_null()
        if _any(values):
            result[name] = FeatureBins.of(name, values, kinds.get(name))
    return result


def _any(values: pa.Array) -> bool:
    if pa.types.is_floating(values.type):
        return bool(pc.any(pc.is_finite(values)).as_py())
    return not pa.types.is_null(values.type) and len(values) > 0


def _kind(values: pa.Array) -> Kind:
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return "number"
    return "text" if is_text(pc.count_distinct(values).as_py(), len(values)) else "category"


def is_text(different: int, values: int) -> bool:
    """Whether strings are text, and no names of categories: by how many of how many values are different."""
    return different > max(_CATEGORIES, _MOSTLY_DIFFERENT * values)


def _between(edges: tuple[float, ...], numbers: npt.NDArray[np.float64]) -> Indices:
    indices: Indices = np.searchsorted(np.asarray(edges), numbers, side="right").astype(np.int64)
    indices[np.isnan(numbers)] = -1
    return indices


def _quantiles(numbers: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], Indices]:
    """Returns edges between which there are about as many numbers each, frequent ones alone, and the counts."""
    numbers = numbers[np.isfinite(numbers)]  # infinity is out of any range, and no edge that JSON knows
    if not len(numbers):
        return np.zeros(1), np.zeros(2, np.int64)
    different, counts = np.unique(numbers, return_counts=True)
    if len(different) > _NUMBERS:
        ends = np.cumsum(counts)
        lower = np.searchsorted(ends, np.arange(_NUMBERS) * len(numbers) / _NUMBERS, side="right")
        frequent = np.flatnonzero(counts >= len(numbers) / _NUMBERS)
        chosen = np.unique(np.concatenate([lower, frequent, frequent + 1]))
        edges = different[chosen[chosen < len(different)]]
    else:
        edges = different
    edges = np.append(edges, np.nextafter(different[-1], np.inf))
    return edges, np.bincount(np.searchsorted(edges, numbers, side="right"), minlength=len(edges) + 1)


def _categories(name: str, values: pa.Array) -> FeatureBins:
    counted = pc.value_counts(texts(values))
    counts = counted.field("counts").to_numpy()
    strings = np.array(counted.field("values").to_pylist(), object)
    order = sorted(range(len(counts)), key=lambda index: (-counts[index], strings[index]))
    is_complete = len(order) <= _CATEGORIES
    # A fixed number of the most frequent would be those that chance favours, and seem rarer in any other sample.
    listed = order if is_complete else [index for index in order if counts[index] >= _FREQUENT * len(values)]
    unseen = np.count_nonzero(counts == 1) / len(values) if is_complete else -1.0
    sizes: Indices = np.append(counts[listed], len(values) - counts[listed].sum())
    return FeatureBins(name, "category", (), tuple(strings[listed]), float(unseen), _groups_of_frequent(sizes))


def _groups_of_neighbours(counts: Indices) -> tuple[int, ...]:
    """Puts bins into groups of neighbours with about as many values in each."""
    middle = (np.cumsum(counts) - counts / 2) / max(1, counts.sum())
    return tuple(np.minimum(middle * (GROUPS - 1), GROUPS - 2).astype(int).tolist())


def _groups_of_frequent(counts: Indices) -> tuple[int, ...]:
    """Fills the groups with the most frequent values first, each into the one that has fewest."""
    groups: Indices = np.zeros(len(counts), np.int64)
    sizes = [0.0] * (GROUPS - 1)
    for index in np.argsort(-counts, kind="stable"):
        groups[index] = sizes.index(min(sizes))
        sizes[groups[index]] += counts[index]
    return tuple(groups.tolist())

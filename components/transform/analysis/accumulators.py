"""The accumulators of analyzers: of TFT's combiners, for all rows or for each key, and of vocabularies.

What an accumulator is, only its combiner knows: hence Any.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from tensorflow_transform import analyzer_nodes, analyzers
from tensorflow_transform.beam import analyzer_impls

from penstock.components.transform.analysis import vocabularies

type Accumulator = Any
type Entry = Any  # an element of TFT's cache: an accumulator, or a pair of a token or key and its accumulator
type Batch = tuple[np.ndarray, ...]  # the inputs of an operation
type ByKey = dict[bytes, Accumulator]


class State(Protocol):
    """The accumulator of an operation while it grows."""

    def add(self, batch: Batch) -> None:
        """Adds the values of a batch; the first dimension of each array is that of the rows."""

    def result(self) -> Accumulator:
        """Returns the accumulator of all batches so far."""

    def entries(self, result: Accumulator) -> Iterable[Entry]:
        """Returns a result as elements of TFT's cache: a single one, or one for each token or key."""

    def merge(self, total: Accumulator, result: Accumulator) -> Accumulator:
        """Returns the sum of two results, in this order. Both may change."""


class _Combined:
    """The accumulator of a combiner over a data set."""

    def __init__(self, combiner: analyzer_nodes.Combiner):
        self._combiner = combiner
        self._accumulator = combiner.create_accumulator()

    def add(self, batch: Batch) -> None:
        self._accumulator = self._combiner.add_input(self._accumulator, batch)

    def result(self) -> Accumulator:
        return self._combiner.compact(self._accumulator)

    def entries(self, result: Accumulator) -> Iterable[Entry]:
        return [result]

    def merge(self, total: Accumulator, result: Accumulator) -> Accumulator:
        return merge(self._combiner, [total, result])


class _CombinedPerKey:
    """The accumulators of a combiner for each key of a data set; the first input of a batch holds the keys."""

    def __init__(self, combiner: analyzer_nodes.Combiner):
        self._combiner = combiner
        self._accumulators: ByKey = {}

    def add(self, batch: Batch) -> None:
        flat = isinstance(self._combiner, analyzers.QuantilesCombiner)
        for key, values in _rows_of_keys(batch) if flat else analyzer_impls._split_inputs_by_key(batch):
            if key not in self._accumulators:
                self._accumulators[key] = self._combiner.create_accumulator()
            self._accumulators[key] = self._combiner.add_input(self._accumulators[key], values)

    def result(self) -> ByKey:
        return {key: self._combiner.compact(value) for key, value in self._accumulators.items()}

    def entries(self, result: ByKey) -> Iterable[Entry]:
        return result.items()

    def merge(self, total: ByKey, result: ByKey) -> ByKey:
        for key, value in result.items():
            total[key] = merge(self._combiner, [total[key], value]) if key in total else value
        return total


def merge(combiner: analyzer_nodes.Combiner, accumulators: Sequence[Accumulator | None]) -> Accumulator:
    """Returns the merged accumulators, in their order; None stands for an empty one.

    It merges into a new accumulator, because merging may change the first one.
    """
    parts = [combiner.create_accumulator(), *accumulators]
    return combiner.merge_accumulators([part for part in parts if part is not None])


def merge_per_key(
    combiner: analyzer_nodes.Combiner, accumulators: Sequence[ByKey | list[tuple[bytes, Accumulator]]]
) -> ByKey:
    """Returns the merged accumulator of each key, in the order of the keys' first occurrence.

    A list of pairs comes from a cache.
    """
    by_key: dict[bytes, list[Accumulator]] = {}
    for part in accumulators:
        for key, accumulator in part.items() if isinstance(part, dict) else part:
            by_key.setdefault(key, []).append(accumulator)
    return {key: merge(combiner, values) for key, values in by_key.items()}


def _rows_of_keys(batch: Batch) -> Iterator[tuple[bytes, list[np.ndarray]]]:
    """Yields each key with all of its rows, for a combiner that flattens its input: no Python code runs per row."""
    keys, *arguments = batch
    if not len(keys):
        return
    distinct, codes = np.unique(keys, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(distinct)))
    for key, rows in zip(distinct, np.split(order, ends[:-1]), strict=True):
        yield key, [argument[rows] for argument in arguments]


def starter(
    operation: analyzer_nodes.CacheableCombineAccumulate
    | analyzer_nodes.CacheableCombinePerKeyAccumulate
    | analyzer_nodes.VocabularyAccumulate,
) -> Callable[[], State]:
    """Returns a function that makes an empty State for the operation. It can be pickled, which the operation cannot."""
    if isinstance(operation, analyzer_nodes.CacheableCombineAccumulate):
        return functools.partial(_Combined, operation.combiner)
    if isinstance(operation, analyzer_nodes.CacheableCombinePerKeyAccumulate):
        return functools.partial(_CombinedPerKey, operation.combiner)
    return functools.partial(vocabularies.Tokens, operation.vocab_ordering_type, operation.input_dtype)

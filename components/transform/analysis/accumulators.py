"""What an analyzer adds up over rows: TFT's combiners, for all rows or for each key, and vocabularies."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from tensorflow_transform import analyzer_nodes, analyzers
from tensorflow_transform.beam import analyzer_impls

from penstock.components.transform.analysis import vocabularies


class State(Protocol):
    """The accumulator of an operation while it grows."""

    def add(self, batch: tuple[np.ndarray, ...]) -> None: ...

    def result(self) -> Any: ...

    def entries(self, result: Any) -> Iterable[Any]:
        """Returns the result as the elements that TFT's cache holds: one, or one for each token or key."""
        ...

    def merge(self, total: Any, result: Any) -> Any:
        """Returns the sum of two results, in this order. Both may change."""
        ...


class _Combined:
    """The accumulator of a combiner over a data set."""

    def __init__(self, combiner: analyzer_nodes.Combiner):
        self._combiner = combiner
        self._accumulator = combiner.create_accumulator()

    def add(self, batch: tuple[np.ndarray, ...]) -> None:
        self._accumulator = self._combiner.add_input(self._accumulator, batch)

    def result(self) -> Any:
        return self._combiner.compact(self._accumulator)

    def entries(self, result: Any) -> Iterable[Any]:
        return [result]

    def merge(self, total: Any, result: Any) -> Any:
        return merge(self._combiner, [total, result])


class _CombinedPerKey:
    """The accumulators of a combiner by the keys of a data set: the first input of a batch holds the keys."""

    def __init__(self, combiner: analyzer_nodes.Combiner):
        self._combiner = combiner
        self._accumulators: dict[bytes, Any] = {}

    def add(self, batch: tuple[np.ndarray, ...]) -> None:
        flat = isinstance(self._combiner, analyzers.QuantilesCombiner)
        for key, values in _rows_of_keys(batch) if flat else analyzer_impls._split_inputs_by_key(batch):
            if key not in self._accumulators:
                self._accumulators[key] = self._combiner.create_accumulator()
            self._accumulators[key] = self._combiner.add_input(self._accumulators[key], values)

    def result(self) -> dict[bytes, Any]:
        return {key: self._combiner.compact(value) for key, value in self._accumulators.items()}

    def entries(self, result: dict[bytes, Any]) -> Iterable[Any]:
        return result.items()

    def merge(self, total: dict[bytes, Any], result: dict[bytes, Any]) -> dict[bytes, Any]:
        for key, value in result.items():
            total[key] = merge(self._combiner, [total[key], value]) if key in total else value
        return total


def merge(combiner: analyzer_nodes.Combiner, accumulators: Sequence[Any]) -> Any:
    """Merges into a fresh accumulator, for merging may change the first one."""
    parts = [combiner.create_accumulator(), *accumulators]
    return combiner.merge_accumulators([part for part in parts if part is not None])


def merge_per_key(
    combiner: analyzer_nodes.Combiner, accumulators: Sequence[dict[bytes, Any] | list[tuple[bytes, Any]]]
) -> dict[bytes, Any]:
    """Merges by key; lists of pairs are what a cache held."""
    by_key: dict[bytes, list[Any]] = {}
    for part in accumulators:
        for key, accumulator in part.items() if isinstance(part, dict) else part:
            by_key.setdefault(key, []).append(accumulator)
    return {key: merge(combiner, values) for key, values in by_key.items()}


def _rows_of_keys(batch: tuple[np.ndarray, ...]) -> Iterator[tuple[bytes, list[np.ndarray]]]:
    """Yields the rows of each key at once, for a combiner that flattens what it is given: no Python code per row."""
    keys, *arguments = batch
    if not len(keys):
        return
    distinct, codes = np.unique(keys, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(distinct)))
    for key, rows in zip(distinct, np.split(order, ends[:-1]), strict=True):
        yield key, [argument[rows] for argument in arguments]


def starter(operation: Any) -> Callable[[], State]:
    """Returns what makes the empty accumulator of one of TFT's accumulate operations. Picklable, as those are not."""
    if isinstance(operation, analyzer_nodes.CacheableCombineAccumulate):
        return functools.partial(_Combined, operation.combiner)
    if isinstance(operation, analyzer_nodes.CacheableCombinePerKeyAccumulate):
        return functools.partial(_CombinedPerKey, operation.combiner)
    return functools.partial(vocabularies.Tokens, operation.vocab_ordering_type, operation.input_dtype)

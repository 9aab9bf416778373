"""One phase of the analysis in a worker: a shard's files through the phase's SavedModel into accumulators."""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cloudpickle
import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers
from tensorflow_transform.beam import analyzer_impls
from tensorflow_transform.saved import saved_transform_io_v2

from penstock.components import records
from penstock.components.errors import ModuleError
from penstock.components.transform import vocabularies
from penstock.components.transform.reading import Reader

# A shard is closed when its files reach this size (compressed): about 20,000 rows of ten features.
_SHARD_BYTES = 1 << 20


def shards_of(files: list[Path]) -> Iterator[list[Path]]:
    """Cuts files, in order, into groups of about a megabyte: by the data alone, never by the workers."""
    group: list[Path] = []
    size = 0
    for path in files:
        group.append(path)
        size += path.stat().st_size
        if size >= _SHARD_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


@dataclass(frozen=True)
class Accumulation:
    """One of TFT's accumulate operations over one data set."""

    label: str  # of the node in the analysis graph
    start: Callable[[], "State"]
    keys: tuple[str, ...]  # the SavedModel's outputs that it takes
    cache_file: Path | None = None  # where its accumulator is written for later runs
    coder: Any = None


@dataclass(frozen=True)
class Shard:
    """Some files, and what to accumulate over each of them."""

    model: Path
    reader: Reader
    work: bytes = field(repr=False)  # cloudpickle of list[tuple[Path, list[Accumulation]]]: combiners may be the user's


@dataclass(frozen=True)
class FileResult:
    rows: int
    size: int  # bytes of its record batches
    accumulators: dict[str, Any]  # by the operation's label


def accumulate(shard: Shard) -> list[FileResult]:
    """The shard function of a phase. Returns a result for each file, in order."""
    prepare_worker()
    model = load(shard.model, shard.reader)
    return [_accumulate_file(path, work, model, shard.reader) for path, work in cloudpickle.loads(shard.work)]


def prepare_worker() -> None:
    """One thread for each operation: workers share the cores, and sums are taken in one order everywhere."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # TensorFlow already runs in this process


@functools.lru_cache(maxsize=2)
def load(path: Path, reader: Reader) -> saved_transform_io_v2.SavedModelLoader:
    """Loads a SavedModel of TFT's for the tensors of `reader`: once in a process, whatever the number of shards."""
    loader = saved_transform_io_v2.SavedModelLoader(str(path))
    loader.finalize(reader.columns, loader.structured_outputs.keys())
    return loader


def apply(model: saved_transform_io_v2.SavedModelLoader, tensors: dict[str, Any], path: Path) -> dict[str, Any]:
    """Returns the SavedModel's outputs; what fails there, on the data, is the preprocessing function's error."""
    try:
        return dict(model.apply_transform_model(tensors))
    except tf.errors.OpError as error:
        raise ModuleError(f"preprocessing_fn failed on rows of {path}: {_first_lines(error)}") from None


def _first_lines(error: tf.errors.OpError) -> str:
    lines = [
        line for line in error.message.splitlines() if line and not line.startswith(("Detected at", "Stack trace"))
    ]
    return " ".join(line.strip() for line in lines[:3])


def _accumulate_file(
    path: Path, work: list[Accumulation], model: saved_transform_io_v2.SavedModelLoader, reader: Reader
) -> FileResult:
    states = [(accumulation, accumulation.start()) for accumulation in work]
    rows = size = 0
    for batch in reader.batches(path):
        rows += batch.num_rows
        size += batch.nbytes
        outputs = apply(model, reader.tensors(batch, path), path)
        arrays = {key: np.asarray(value) for key, value in outputs.items() if isinstance(value, tf.Tensor)}
        for accumulation, state in states:
            state.add(tuple(arrays[key] for key in accumulation.keys))
    results = {}
    for accumulation, state in states:
        results[accumulation.label] = accumulator = state.result()
        if accumulation.cache_file is not None:
            records.write(accumulation.cache_file, map(accumulation.coder.encode_cache, state.entries(accumulator)))
    return FileResult(rows, size, results)


class State(Protocol):
    """The accumulator of an operation while it grows."""

    def add(self, batch: tuple[np.ndarray, ...]) -> None: ...

    def result(self) -> Any: ...

    def entries(self, result: Any) -> Iterable[Any]:
        """Returns the result as the elements that TFT's cache holds: one, or one for each token or key."""
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

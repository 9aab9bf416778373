"""One phase of the analysis in a worker: a shard's files through the phase's SavedModel into accumulators."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import tensorflow as tf
from tensorflow_transform.saved import saved_transform_io_v2

from penstock.components.transform.analysis.accumulators import State
from penstock.components.transform.reading import Reader
from penstock.core.errors import ModuleError
from penstock.core.examples import records

# A shard is closed when its files reach this size (compressed): about 20,000 rows of ten features.
_SHARD_BYTES = 1 << 20
# Results of so many shards are in memory at once before they are merged: a number of the data's, not of the workers'.
WAVE = 32


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
    operation: str  # the same for all data sets: the label without the data set's part
    start: Callable[[], State]
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
    use_one_thread()
    model = load(shard.model, shard.reader)
    return [_accumulate_file(path, work, model, shard.reader) for path, work in cloudpickle.loads(shard.work)]


def use_one_thread() -> None:
    """One thread for TensorFlow's operations: workers share the cores, and sums are taken in one order everywhere."""
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

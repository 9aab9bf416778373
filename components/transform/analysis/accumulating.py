"""One phase of the analysis in a worker: a shard's files through the phase's SavedModel into accumulators."""

import functools
from collections.abc import Callable, Iterable
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


@dataclass
class Accumulated:
    """Lists of accumulators by operation, and the files' sizes: the bytes of their record batches."""

    sizes: dict[Path, int]
    accumulators: dict[str, list[Any]]


def accumulate(shard: Shard) -> Accumulated:
    """The shard function of a phase. Returns an accumulator for each file, in their order."""
    use_one_thread()
    model = load(shard.model, shard.reader)
    total = Accumulated({}, {})
    for path, work in cloudpickle.loads(shard.work):
        total.sizes[path], accumulators = _accumulate_file(path, work, model, shard.reader)
        for operation, accumulator in accumulators.items():
            total.accumulators.setdefault(operation, []).append(accumulator)
    return total


def merger(accumulations: Iterable[Accumulation]) -> Callable[[Accumulated, Accumulated], Accumulated]:
    """Returns a function that merges the second of two results into the first: one accumulator for each operation."""
    starts = {item.operation: item.start for item in accumulations}
    states = {operation: start() for operation, start in starts.items()}

    def merge(total: Accumulated, part: Accumulated) -> Accumulated:
        total.sizes |= part.sizes
        for operation, accumulators in part.accumulators.items():
            every = [*total.accumulators.get(operation, ()), *accumulators]
            total.accumulators[operation] = [functools.reduce(states[operation].merge, every)]
        return total

    return merge


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
) -> tuple[int, dict[str, Any]]:
    states = [(accumulation, accumulation.start()) for accumulation in work]
    size = 0
    for batch in reader.batches(path):
        size += batch.nbytes
        outputs = apply(model, reader.tensors(batch, path), path)
        arrays = {key: np.asarray(value) for key, value in outputs.items() if isinstance(value, tf.Tensor)}
        for accumulation, state in states:
            state.add(tuple(arrays[key] for key in accumulation.keys))
    results = {}
    for accumulation, state in states:
        results[accumulation.operation] = accumulator = state.result()
        if accumulation.cache_file is not None:
            records.write(accumulation.cache_file, map(accumulation.coder.encode_cache, state.entries(accumulator)))
    return size, results

"""One phase of the analysis in a worker: applies the phase's SavedModel to a shard's files, and accumulates."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import tensorflow as tf
from tensorflow_transform.analyzer_nodes import CacheCoder
from tensorflow_transform.saved.saved_transform_io_v2 import SavedModelLoader

from penstock.components.transform.analysis.accumulators import State
from penstock.components.transform.reading import Reader, Tensor
from penstock.core.errors import ModuleError
from penstock.core.examples import records
from penstock.core.models import threads


@dataclass(frozen=True)
class Accumulation:
    """One of TFT's accumulate operations over one data set."""

    label: str  # of the node in the analysis graph
    operation: str  # the label without the data set's part: the same for all data sets
    start: Callable[[], State]
    keys: tuple[str, ...]  # the outputs of the SavedModel that it accumulates
    cache_file: Path | None = None  # where the accumulator is written for later runs
    coder: CacheCoder | None = None  # encodes it for that file


@dataclass(frozen=True)
class Shard:
    """Some files, and what to accumulate over each of them."""

    model: Path
    reader: Reader
    work: bytes = field(repr=False)  # list[tuple[Path, list[Accumulation]]], by cloudpickle for the user's combiners


@dataclass
class Accumulated:
    """The accumulators of each operation, and the size of each file: the bytes of its record batches."""

    sizes: dict[Path, int]
    accumulators: dict[str, list[Any]]


def accumulate(shard: Shard) -> Accumulated:
    """Returns the accumulators of each file of a shard, in the files' order.

    Raises a ModuleError if the preprocessing function fails on a row.
    """
    threads.use_one()
    model = load(shard.model, shard.reader)
    total = Accumulated({}, {})
    for path, work in cloudpickle.loads(shard.work):
        total.sizes[path], accumulators = _accumulate_file(path, work, model, shard.reader)
        for operation, accumulator in accumulators.items():
            total.accumulators.setdefault(operation, []).append(accumulator)
    return total


def merger(accumulations: Iterable[Accumulation]) -> Callable[[Accumulated, Accumulated], Accumulated]:
    """Returns a function that merges the second of two results into the first, and returns the first.

    Then the first has a single accumulator for each operation.
    """
    starts = {item.operation: item.start for item in accumulations}
    states = {operation: start() for operation, start in starts.items()}

    def merge(total: Accumulated, part: Accumulated) -> Accumulated:
        total.sizes |= part.sizes
        for operation, accumulators in part.accumulators.items():
            every = [*total.accumulators.get(operation, ()), *accumulators]
            total.accumulators[operation] = [functools.reduce(states[operation].merge, every)]
        return total

    return merge


@functools.lru_cache(maxsize=2)
def load(path: Path, reader: Reader) -> SavedModelLoader:
    """Returns TFT's SavedModel for the tensors of `reader`; a process loads it once for all shards."""
    loader = SavedModelLoader(str(path))
    loader.finalize(reader.columns, loader.structured_outputs.keys())
    return loader


def apply(model: SavedModelLoader, tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Returns the outputs of the SavedModel for a batch of the file `path`, by name.

    Raises a ModuleError if it fails on the data, as that is an error of the preprocessing function.
    """
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
    path: Path, work: list[Accumulation], model: SavedModelLoader, reader: Reader
) -> tuple[int, dict[str, Any]]:
    states = [(accumulation, accumulation.start()) for accumulation in work]
    size = 0
    for batch in reader.batches(path):
        size += batch.nbytes
        for tensors in reader.tensors(batch, path):
            outputs = apply(model, tensors, path)
            arrays = {key: np.asarray(value) for key, value in outputs.items() if isinstance(value, tf.Tensor)}
            for accumulation, state in states:
                state.add(tuple(arrays[key] for key in accumulation.keys))
    results = {}
    for accumulation, state in states:
        results[accumulation.operation] = accumulator = state.result()
        if accumulation.cache_file is not None and accumulation.coder is not None:
            records.write(accumulation.cache_file, map(accumulation.coder.encode_cache, state.entries(accumulator)))
    return size, results

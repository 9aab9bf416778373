"""TFDV's statistics before and after the transformation, computed from the batches that are transformed."""

import enum
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core import artifacts, user_modules
from penstock.core.errors import ModuleError
from penstock.core.files import atomic
from penstock.core.statistics import partials
from penstock.core.statistics.partials import Partial

# Batches are collected up to this size, because a call of TFDV's generators has a high fixed cost.
_CHUNK_BYTES = 32 << 20
_SAMPLE_SEED = 0


class StatsType(enum.IntEnum):
    """Which statistics the options are for; the numbers of `tfx.components.transform.stats_options_util.StatsType`."""

    UNKNOWN = 0
    PRE_TRANSFORM = 1
    POST_TRANSFORM = 2


def options(
    updater: Callable[..., Any] | None,
    stats_type: StatsType,
    schema: schema_pb2.Schema,
    vocabularies: Mapping[str, Path] | None = None,
) -> tfdv.StatsOptions:
    """Returns TFX's options for the statistics, changed by `updater`, the user's `stats_options_updater_fn`.

    The options hold a copy of the schema, which the user may change. `vocabularies` holds the vocabulary files by their
    names. Raises a ModuleError if the user's function fails or does not return StatsOptions.
    """
    copy = schema_pb2.Schema()
    copy.CopyFrom(schema)
    paths = {"vocab_paths": {name: str(path) for name, path in vocabularies.items()}} if vocabularies else {}
    defaults = tfdv.StatsOptions(schema=copy, experimental_use_sketch_based_topk_uniques=True, **paths)
    if updater is None:
        return defaults
    updated = user_modules.call("stats_options_updater_fn", updater, _as_tfx(stats_type), defaults)
    if not isinstance(updated, tfdv.StatsOptions):
        raise ModuleError(
            f"stats_options_updater_fn: expected the StatsOptions to be returned, received {type(updated).__name__}"
        )
    return updated


def _as_tfx(stats_type: StatsType) -> enum.Enum:
    """Returns TFX's own member if the user's module imported it: a member of TFX's plain Enum equals nothing else."""
    loaded = sys.modules.get("tfx.components.transform.stats_options_util")
    return stats_type if loaded is None else loaded.StatsType(stats_type.value)  # type: ignore[no-any-return]


@dataclass
class Passing:
    """Collects the partial statistics of batches, or of the sample of them that the options ask for.

    At most about 32 MiB of batches are in memory.
    """

    options: tfdv.StatsOptions
    number: int  # of the shard; with a constant, the seed of the sample
    _batches: list[pa.RecordBatch] = field(default_factory=list)
    _bytes: int = 0
    _total: Partial | None = None

    def __post_init__(self) -> None:
        self._merge = partials.merger(self.options)
        self._random = np.random.default_rng([_SAMPLE_SEED, self.number])

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds a batch of list columns, or the rows of it that the sample holds."""
        if self.options.sample_rate:
            rows = np.flatnonzero(self._random.random(batch.num_rows) < self.options.sample_rate)
            batch = batch.take(pa.array(rows))
        self._batches.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= _CHUNK_BYTES:
            self._flush()

    def result(self) -> Partial:
        """Returns the partial statistics of all batches."""
        if self._batches or self._total is None:
            return self._flush()
        return self._total

    def _flush(self) -> Partial:
        part = partials.compute(self._batches, self.options, self.number)
        self._total = part if self._total is None else self._merge(self._total, part)
        self._batches, self._bytes = [], 0
        return self._total


@dataclass(frozen=True)
class Outputs:
    """The folders for statistics, schema and anomalies; there are no anomalies before the transformation."""

    stats: Path
    schema: Path
    anomalies: Path | None = None


def write(total: Partial, options: tfdv.StatsOptions, outputs: Outputs) -> None:
    """Writes merged partial statistics, the options' schema if there is one, and the anomalies against it."""
    statistics, _ = partials.statistics(total, options)
    if not statistics.datasets:
        statistics.datasets.add()  # there were no rows
    content = statistics.SerializeToString(deterministic=True)
    atomic.write_bytes(outputs.stats / artifacts.ExampleStatistics.FILE, content)
    if options.schema is None:
        return
    artifacts.Schema(outputs.schema).write(options.schema)
    if outputs.anomalies is not None:
        anomalies = tfdv.validate_statistics(statistics, options.schema).SerializeToString(deterministic=True)
        atomic.write_bytes(outputs.anomalies / artifacts.ExampleAnomalies.FILE, anomalies)

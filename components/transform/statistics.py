"""Statistics of the data before and after the transformation: TFDV's, computed while the examples pass by."""

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

# Batches are held back until they reach this size, for each call of TFDV's generators costs the same.
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
    """Returns TFX's options for the statistics, through the user's `stats_options_updater_fn` if there is one."""
    own = schema_pb2.Schema()
    own.CopyFrom(schema)
    paths = {"vocab_paths": {name: str(path) for name, path in vocabularies.items()}} if vocabularies else {}
    given = tfdv.StatsOptions(schema=own, experimental_use_sketch_based_topk_uniques=True, **paths)
    if updater is None:
        return given
    updated = user_modules.call("stats_options_updater_fn", updater, _as_tfx(stats_type), given)
    if not isinstance(updated, tfdv.StatsOptions):
        raise ModuleError(
            f"stats_options_updater_fn: expected the StatsOptions to be returned, received {type(updated).__name__}"
        )
    return updated


def _as_tfx(stats_type: StatsType) -> Any:
    """TFX's own member where the user's module imported it: TFX's is a plain Enum, equal to nothing else."""
    loaded = sys.modules.get("tfx.components.transform.stats_options_util")
    return stats_type if loaded is None else loaded.StatsType(stats_type.value)


@dataclass
class Passing:
    """Partial statistics of the batches that pass, or of the options' sample of them; holds at most 32 MiB of them."""

    options: tfdv.StatsOptions
    number: int  # of the shard: with a fixed seed, it decides what the sample holds
    _batches: list[pa.RecordBatch] = field(default_factory=list)
    _bytes: int = 0
    _total: Partial | None = None

    def __post_init__(self) -> None:
        self._merge = partials.merger(self.options)
        self._random = np.random.default_rng([_SAMPLE_SEED, self.number])

    def add(self, batch: pa.RecordBatch) -> None:
        if self.options.sample_rate:
            chosen = np.flatnonzero(self._random.random(batch.num_rows) < self.options.sample_rate)
            batch = batch.take(pa.array(chosen))
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
    """Where statistics, schema and anomalies go; no anomalies before the transformation."""

    stats: Path
    schema: Path
    anomalies: Path | None = None


def write(total: Partial, used: tfdv.StatsOptions, outputs: Outputs) -> None:
    """Writes merged partial statistics, with the options' schema and where they differ from it."""
    statistics, _ = partials.statistics(total, used)
    if not statistics.datasets:
        statistics.datasets.add()  # of no rows
    content = statistics.SerializeToString(deterministic=True)
    atomic.write_bytes(outputs.stats / artifacts.ExampleStatistics.FILE, content)
    if used.schema is None:
        return
    artifacts.Schema(outputs.schema).write(used.schema)
    if outputs.anomalies is not None:
        anomalies = tfdv.validate_statistics(statistics, used.schema).SerializeToString(deterministic=True)
        atomic.write_bytes(outputs.anomalies / artifacts.ExampleAnomalies.FILE, anomalies)

"""The transformation: applies the transform graph to shards of examples, writes them, and takes statistics."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cloudpickle
import pyarrow as pa
from tensorflow_data_validation import StatsOptions
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform import impl_helper
from tfx_bsl.tfxio.tensor_to_arrow import TensorsToRecordBatchConverter

from penstock.components.transform import ragged, statistics
from penstock.components.transform.analysis import accumulating
from penstock.components.transform.reading import Reader
from penstock.core.examples import records
from penstock.core.models import threads
from penstock.core.statistics import partials
from penstock.core.statistics.partials import Partial


@dataclass(frozen=True)
class File:
    """A file, and what to do with it."""

    source: Path
    analyzed: bool  # whether to take statistics of the file as it is
    transformed: bool  # whether to transform it
    target: Path | None = None  # where to write the transformed examples, if they are written


@dataclass(frozen=True)
class Shard:
    """Some files, and all that transforming them needs."""

    number: int  # part of the seed of the statistics' sample
    model: Path  # the transform_fn
    schema: bytes  # the serialized Schema of the transformed data
    reader: Reader
    files: tuple[File, ...]
    options: bytes | None = field(repr=False)  # cloudpickle of the StatsOptions before and after; None: no statistics


@dataclass(frozen=True)
class ShardResult:
    """The number of transformed rows, and the partial statistics of the analyzed files and of the transformed data.

    `statistics` is empty if none are taken.
    """

    rows: int
    statistics: tuple[Partial, ...]


def merger(options: Sequence[StatsOptions]) -> Callable[[ShardResult, ShardResult], ShardResult]:
    """Returns a function that merges two results. `options` are those of the statistics, in the results' order."""
    mergers = [partials.merger(stats_options) for stats_options in options]

    def merge(total: ShardResult, part: ShardResult) -> ShardResult:
        pairs = zip(mergers, total.statistics, part.statistics, strict=True)
        return ShardResult(total.rows + part.rows, tuple(add(left, right) for add, left, right in pairs))

    return merge


def transform(shard: Shard) -> ShardResult:
    """Transforms a shard, reading each file once, in batches of up to 8192 rows.

    Raises a ModuleError if the preprocessing function fails on a row, and what the reader raises.
    """
    threads.use_one()
    return _Pass(shard).run()


class _Pass:
    def __init__(self, shard: Shard):
        self._shard = shard
        self._before = self._after = None
        if shard.options is not None:
            self._before, self._after = (
                statistics.Passing(options, shard.number) for options in cloudpickle.loads(shard.options)
            )
        self._transformed_rows = 0

    def run(self) -> ShardResult:
        for file in self._shard.files:
            if file.target is None:
                for _ in self._batches(file):
                    pass
            else:
                records.write(file.target, self._encoded(file))
        results = tuple(passing.result() for passing in (self._before, self._after) if passing is not None)
        return ShardResult(self._transformed_rows, results)

    def _encoded(self, file: File) -> Iterator[bytes]:
        schema = _schema(self._shard.schema)
        for batch in self._batches(file):
            yield from records.encode(ragged.flatten(batch, schema))

    def _batches(self, file: File) -> Iterator[pa.RecordBatch]:
        """Yields the transformed batches of a file, and adds the batches before and after to the statistics."""
        reader, schema = self._shard.reader, self._shard.schema
        for batch in reader.batches(file.source):
            if self._before is not None and file.analyzed:
                self._before.add(reader.features_of(batch, file.source))
            if not file.transformed:
                continue
            model = accumulating.load(self._shard.model, reader)
            parts = [
                _converter(schema).convert(accumulating.apply(model, tensors, file.source))
                for tensors in reader.tensors(batch, file.source)
            ]
            (transformed,) = parts if len(parts) == 1 else pa.Table.from_batches(parts).combine_chunks().to_batches()
            self._transformed_rows += transformed.num_rows
            if self._after is not None:
                self._after.add(transformed)
            yield transformed


@functools.lru_cache(maxsize=2)
def _schema(serialized: bytes) -> schema_pb2.Schema:
    return schema_pb2.Schema.FromString(serialized)


@functools.lru_cache(maxsize=2)
def _converter(schema: bytes) -> TensorsToRecordBatchConverter:
    return impl_helper.make_tensor_to_arrow_converter(_schema(schema))

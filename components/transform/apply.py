"""The transformation itself: shards of examples through the transform graph into transformed files and statistics."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform import impl_helper

from penstock.components.transform import ragged, statistics
from penstock.components.transform.analysis import accumulating
from penstock.components.transform.reading import Reader
from penstock.core.examples import records
from penstock.core.statistics import partials
from penstock.core.statistics.partials import Partial


@dataclass(frozen=True)
class File:
    """What becomes of a file: its own statistics are taken, it is transformed, the result is written."""

    source: Path
    analyzed: bool
    transformed: bool
    target: Path | None = None


@dataclass(frozen=True)
class Shard:
    number: int  # for the sample, if the statistics are of one
    model: Path  # the transform_fn
    schema: bytes  # of the transformed data
    reader: Reader
    files: tuple[File, ...]
    options: bytes | None = field(repr=False)  # cloudpickle of the StatsOptions before and after; None: no statistics


@dataclass(frozen=True)
class ShardResult:
    """The number of transformed rows, and partial statistics if they are taken.

    These are of the analyzed files, then of the transformed data.
    """

    rows: int
    statistics: tuple[Partial, ...]


def merger(options: Sequence[Any]) -> Callable[[ShardResult, ShardResult], ShardResult]:
    """Returns a function that merges two results; `options` are those of the statistics, none if none are taken."""
    mergers = [partials.merger(each) for each in options]

    def merge(total: ShardResult, part: ShardResult) -> ShardResult:
        triples = zip(mergers, total.statistics, part.statistics, strict=True)
        return ShardResult(total.rows + part.rows, tuple(add(whole, more) for add, whole, more in triples))

    return merge


def transform(shard: Shard) -> ShardResult:
    """The shard function: reads each file once, in batches of up to 8192 rows."""
    accumulating.use_one_thread()
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
        taken = tuple(passing.result() for passing in (self._before, self._after) if passing is not None)
        return ShardResult(self._transformed_rows, taken)

    def _encoded(self, file: File) -> Iterator[bytes]:
        schema = _schema(self._shard.schema)
        for batch in self._batches(file):
            yield from records.encode(ragged.flatten(batch, schema))

    def _batches(self, file: File) -> Iterator[pa.RecordBatch]:
        """Yields the transformed batches of a file; the statistics see what passes."""
        reader, schema = self._shard.reader, self._shard.schema
        for batch in reader.batches(file.source):
            if self._before is not None and file.analyzed:
                self._before.add(batch)
            if not file.transformed:
                continue
            model = accumulating.load(self._shard.model, reader)
            outputs = accumulating.apply(model, reader.tensors(batch, file.source), file.source)
            transformed = _converter(schema).convert(outputs)
            self._transformed_rows += transformed.num_rows
            if self._after is not None:
                self._after.add(transformed)
            yield transformed


@functools.lru_cache(maxsize=2)
def _schema(serialized: bytes) -> schema_pb2.Schema:
    return schema_pb2.Schema.FromString(serialized)


@functools.lru_cache(maxsize=2)
def _converter(schema: bytes) -> Any:
    return impl_helper.make_tensor_to_arrow_converter(_schema(schema))

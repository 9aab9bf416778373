"""Rows of a split: a sample of them, and the counts of all, shard by shard over an engine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.engines import Engine, fold
from penstock.components.monitoring.measures.counts import WindowCounts
from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.columns import TYPES
from penstock.components.monitoring.windows.inputs import Features
from penstock.core.artifacts import Examples
from penstock.core.errors import DataError
from penstock.core.examples import records

SAMPLE_ROWS = 50_000
_SAMPLE_BYTES = 256 << 20  # of all rows of a sample together: rows with images are fewer
_SEED = 1948


@dataclass
class RowSample:
    """The serialized rows with the least random numbers of those that were added; `rows` is how many these were."""

    rows: int = 0
    _numbers: np.ndarray = field(default_factory=lambda: np.empty(0))
    records: list[bytes] = field(default_factory=list)

    def add(self, serialized: Sequence[bytes], generator: np.random.Generator) -> None:
        numbers = generator.random(len(serialized))
        bound = self._numbers.max() if len(self.records) >= SAMPLE_ROWS else 2.0
        chosen = np.flatnonzero(numbers < bound)
        self.rows += len(serialized)
        self._numbers = np.concatenate([self._numbers, numbers[chosen]])
        self.records += [serialized[index] for index in chosen.tolist()]
        self._keep()

    def merge(self, other: "RowSample") -> "RowSample":
        self.rows += other.rows
        self._numbers = np.concatenate([self._numbers, other._numbers])
        self.records += other.records
        self._keep()
        return self

    def _keep(self) -> None:
        total = sum(map(len, self.records))
        most = min(SAMPLE_ROWS, len(self.records) * _SAMPLE_BYTES // total if total > _SAMPLE_BYTES else SAMPLE_ROWS)
        if len(self.records) > most:
            least = np.sort(np.argpartition(self._numbers, most - 1)[:most])
            self._numbers = self._numbers[least]
            self.records = [self.records[index] for index in least.tolist()]


@dataclass(frozen=True)
class RowColumns:
    """The columns that are read of rows: the features of requests, and the label where the schema has it."""

    features: Features
    label: str
    read: Features

    @classmethod
    def of(cls, schema: schema_pb2.Schema, label: str) -> Self:
        """Returns those of a schema, for a label's name, "" for none."""
        features = Features.of(schema, label)
        kinds = {one.name: TYPES[one.type] for one in schema.feature if one.type in TYPES}
        own = {label: kinds[label]} if label in kinds else {}
        return cls(features, label, replace(features, types={**features.types, **own}))


@dataclass(frozen=True)
class DecodedRows:
    """Rows with a column of lists for each feature of requests, and their labels likewise; None if no row has one."""

    features: pa.RecordBatch
    labels: pa.Array | None


@dataclass(frozen=True)
class _Shard:
    number: int
    files: tuple[Path, ...]


def sample(engine: Engine, examples: Examples, splits: Sequence[str]) -> RowSample:
    """Returns a sample of the rows of splits, each as likely as any other; a DataError if there is no row."""
    result = engine.fold(_sampled, RowSample.merge, _shards(examples, splits)) or RowSample()
    if not result.rows:
        raise DataError(f"split {', '.join(splits)} has no examples: expected some, to compare requests with")
    return result


def count(engine: Engine, examples: Examples, splits: Sequence[str], empty: WindowCounts, columns: RowColumns) -> None:
    """Adds all rows of splits to counts."""
    counted = engine.fold(partial(_counted, empty=empty, columns=columns), _merged, _shards(examples, splits))
    if counted is not None:
        empty.merge(counted)


def decoded(serialized: Sequence[bytes], columns: RowColumns) -> DecodedRows:
    """Returns rows as requests are decoded; a DataError for one that is no tf.Example."""
    account = Account()
    column = pa.array(serialized, pa.large_binary())
    batch = columns.read.decode({"": column}, len(serialized), account, "examples").features
    for unreadable in account.left_out.listed():
        if unreadable["unit"] == "rows":
            raise DataError(f"examples: expected tf.Examples, found {unreadable['reason']}: {unreadable['example']}")
    labels = batch.column(columns.label) if columns.label in columns.read.types else None
    known = labels is not None and labels.null_count < len(labels)
    return DecodedRows(batch.select(list(columns.features.types)), labels if known else None)


def _shards(examples: Examples, splits: Sequence[str]) -> Iterator[_Shard]:
    groups = (group for split in splits for group in fold.groups(examples.files(split)))
    return (_Shard(number, group) for number, group in enumerate(groups))


def _sampled(shard: _Shard) -> RowSample:
    result, generator = RowSample(), np.random.default_rng([_SEED, shard.number])
    for path in shard.files:
        for serialized in records.read(path):
            result.add(serialized, generator)
    return result


def _counted(shard: _Shard, empty: WindowCounts, columns: RowColumns) -> WindowCounts:
    counts = WindowCounts.empty(empty.bins, empty.paired)
    for path in shard.files:
        for serialized in records.read(path):
            counts.add(decoded(serialized, columns).features)
    return counts


def _merged(total: WindowCounts, part: WindowCounts) -> WindowCounts:
    total.merge(part)
    return total

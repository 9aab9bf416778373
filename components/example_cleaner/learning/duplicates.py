"""Which rows are duplicates, exactly and in bounded memory: rows with equal keys meet in a partition."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.example_cleaner import partitions
from penstock.core.cleaning.rows import Mask, Rows, lists
from penstock.core.cleaning.rules import Duplicates
from penstock.core.examples import encoder

_DIGEST = pa.binary(32)


def keyed(rule: Duplicates, rows: Rows) -> pa.RecordBatch:
    """Returns the keys of rows that have one, with the numbers of the rows and the values by which they are ordered."""
    digests = _digests(rule, rows)
    table = [digests, pa.array(rows.numbers), _order(rule, rows)]
    batch = pa.RecordBatch.from_arrays(table, ["key", "row", "order"])
    if rule.columns:
        has_key: Mask = np.zeros(rows.count, bool)
        for column in rule.columns:
            has_key |= ~rows.without_value(column)
        batch = batch.filter(pa.array(has_key))
    return batch


def _digests(rule: Duplicates, rows: Rows) -> pa.Array:
    """Returns the SHA-256 of each row's columns that have a value, as tf.Examples are written."""
    columns = {}
    for name in rule.columns or tuple(rows.columns):
        values = rows.values(name)
        if len(values.rows):
            columns[name] = lists(values.flat, values.rows, rows.count)
    if not columns:
        return pa.array([sha256(b"").digest()] * rows.count, _DIGEST)
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    encoded = encoder.encode(batch, skip_nulls=True).to_numpy(zero_copy_only=False).tolist()
    return pa.array([sha256(row).digest() for row in encoded], _DIGEST)


def _order(rule: Duplicates, rows: Rows) -> pa.Array:
    """Returns what decides which row is the newest, as bytes in its order; empty where a row has no value."""
    if rule.keep != "newest":
        return pa.array([b""] * rows.count, pa.large_binary())
    kind = rows.type(rule.by)
    if kind is None:
        return pa.array([b""] * rows.count, pa.large_binary())
    values = rows.single(rule.by)
    if kind == "text":
        return pc.fill_null(values, b"")
    ascending = _ascending(pc.fill_null(values, 0).to_numpy(zero_copy_only=False))
    bigendian: npt.NDArray[np.bytes_] = ascending.astype(">u8").view("S8")
    content = pa.array([one.ljust(8, b"\0") for one in bigendian.tolist()], pa.large_binary())
    return pc.if_else(pa.array(rows.without_value(rule.by)), pa.scalar(b"", pa.large_binary()), content)


def _ascending(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint64]:
    """Returns unsigned integers in the order of numbers."""
    if values.dtype.kind == "f":
        bits = values.astype(np.float64).view(np.int64)
        signed = np.where(bits < 0, bits ^ np.int64(0x7FFFFFFFFFFFFFFF), bits)
    else:
        signed = values.astype(np.int64)
    return signed.view(np.uint64) ^ np.uint64(1 << 63)


def write(path: Path, table: pa.RecordBatch, shard: int, count: int) -> Path:
    """Writes the keys of some rows of a shard by partitions."""
    first_bytes = np.frombuffer(b"".join(key[:8] for key in table.column("key").to_pylist()), ">u8")
    with_shard = table.append_column("shard", pa.array(np.full(table.num_rows, shard, np.int64)))
    ids = (first_bytes.astype(np.uint64) % np.uint64(count)).astype(np.int64)
    return partitions.write(path, with_shard, ids, count)


@dataclass(frozen=True)
class Dropped:
    """Finds the rows of a partition that are dropped, and writes them to a file in `folder`."""

    rule: Duplicates
    files: Sequence[Path]
    folder: Path

    def __call__(self, partition: int) -> Path:
        total = pa.Table.from_batches(partitions.read(self.files, partition)).combine_chunks()
        keys = total["key"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
        kept = self._kept(keys, total["order"])
        dropped: Mask = np.ones(len(keys), bool)
        dropped[kept] = False
        shards, rows = (total[name].to_numpy()[dropped] for name in ("shard", "row"))
        return partitions.write_rows(self.folder / f"dropped-{partition:05d}.npy", shards, rows)

    def _kept(self, keys: npt.NDArray[np.integer], order: pa.ChunkedArray) -> npt.NDArray[np.intp]:
        """Returns the place of the row that is kept of each key; rows are in the order of the data."""
        if self.rule.keep == "first":
            return np.unique(keys, return_index=True)[1]
        if self.rule.keep == "last":
            return len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
        ranks = pc.rank(order.combine_chunks(), tiebreaker="dense").to_numpy(zero_copy_only=False).astype(np.int64)
        newest_first = np.lexsort((np.arange(len(keys)), -ranks, keys))
        _, first = np.unique(keys[newest_first], return_index=True)
        return newest_first[first]

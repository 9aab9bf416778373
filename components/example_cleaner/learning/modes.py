"""The most frequent value of a column, exactly and in bounded memory: distinct values are counted by partitions."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.example_cleaner import partitions


def write(path: Path, values: pa.Array, count: int) -> Path:
    """Writes how often each value occurs, by `count` partitions."""
    counted = pc.value_counts(values)
    distinct, counts = counted.field("values"), counted.field("counts")
    hashes = [zlib.crc32(one if isinstance(one, bytes) else repr(one).encode()) for one in distinct.to_pylist()]
    table = pa.RecordBatch.from_arrays([distinct, counts], ["value", "count"])
    return partitions.write(path, table, np.array(hashes, np.int64) % count, count)


@dataclass(frozen=True)
class Most:
    """Finds the most frequent value of a partition of files."""

    files: Sequence[Path]

    def __call__(self, partition: int) -> tuple[int, Any] | None:
        """Returns how often it occurs, and the value, of several the least; None of no values."""
        total = pa.Table.from_batches(partitions.read(self.files, partition))
        if not total.num_rows:
            return None
        summed = total.group_by("value").aggregate([("count", "sum")])
        most = pc.max(summed["count_sum"])
        least = pc.min(summed.filter(pc.equal(summed["count_sum"], most))["value"].combine_chunks())
        return most.as_py(), least.as_py()


def better(first: tuple[int, Any] | None, second: tuple[int, Any] | None) -> tuple[int, Any] | None:
    """Returns the more frequent value of two, of equally frequent ones the less."""
    if first is None or second is None:
        return first or second
    return first if (-first[0], first[1]) <= (-second[0], second[1]) else second

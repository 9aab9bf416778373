"""Files by which rows with the same key meet: each is in the partition that its key's hash says.

A pass over a shard writes its keys to a file with a record batch for each partition. Then each partition is read from
all files and looked at by itself. So memory holds one partition of the keys and never all of them, whatever the number
of rows, and what is found is exact: keys are compared by SHA-256, or as they are.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.core.files import atomic

_PARTITION_BYTES = 16 << 20  # of compressed examples: about 300,000 rows of ten features
_PAIR = np.dtype([("shard", np.int64), ("row", np.int64)])

type Ids = npt.NDArray[np.int64]


def count(files: Sequence[Path]) -> int:
    """Returns in how many partitions the keys of files of examples are put."""
    return max(1, -(-sum(path.stat().st_size for path in files) // _PARTITION_BYTES))


def write(path: Path, table: pa.RecordBatch, ids: Ids, partitions: int) -> Path:
    """Writes rows by their partitions, `ids`; the order of rows in a partition stays."""
    order = np.argsort(ids, kind="stable")
    bounds: Ids = np.searchsorted(ids[order], np.arange(partitions + 1)).astype(np.int64)
    with (
        atomic.replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        for first, last in itertools.pairwise(bounds.tolist()):
            writer.write_batch(table.take(pa.array(order[first:last])))
    return path


def read(files: Sequence[Path], partition: int) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a partition, a batch for each file."""
    for path in files:
        with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
            yield reader.get_batch(partition)


def write_rows(path: Path, shards: Ids, rows: Ids) -> Path:
    """Writes rows of shards, so that those of a shard are found without reading the others."""
    pairs: npt.NDArray[np.void] = np.empty(len(rows), _PAIR)
    pairs["shard"], pairs["row"] = shards, rows
    with atomic.replacing(path) as temporary, open(temporary, "wb") as file:
        np.save(file, np.sort(pairs, order=("shard", "row")))
    return path


def of_shard(files: Sequence[Path], shard: int) -> Ids:
    """Returns the rows of a shard in files that `write_rows` has written, ascending."""
    found = []
    for path in files:
        pairs = np.load(path, mmap_mode="r")
        shards = pairs["shard"]
        first, last = int(np.searchsorted(shards, shard)), int(np.searchsorted(shards, shard + 1))
        found.append(np.array(pairs["row"][first:last]))
    return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)

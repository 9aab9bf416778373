"""A query copied to a file, over one connection and so in one moment, and cut by the number of its rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from penstock.core import progress
from penstock.core.examples import records

_COMPRESSION = pa.ipc.IpcWriteOptions(compression="lz4")
_TOLD = 500_000  # rows after which a person is told how far it is


@dataclass(frozen=True)
class CopyPiece:
    """Record batches of a copy, from one to another, the last one excluded."""

    name: str
    path: Path
    first: int
    last: int
    rows: int
    size: int


def write(batches: Iterator[pa.RecordBatch], schema: pa.Schema, path: Path, rows: int, name: str) -> list[CopyPiece]:
    """Writes a copy and returns its pieces of `rows` rows each, the last one of what remains; one at least.

    What is there of an earlier try is overwritten.
    """
    pieces: list[CopyPiece] = []
    first = total = size = 0
    number, start = 0, 1
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema, options=_COMPRESSION) as writer:
        for batch in _cut(batches, schema, rows):
            writer.write_batch(batch)
            number, total, size = number + 1, total + batch.num_rows, size + batch.nbytes
            if total % rows == 0:
                pieces.append(CopyPiece(f"{name}, from row {start:,}", path, first, number, rows, max(size, 1)))
                first, size, start = number, 0, total + 1
            if total % _TOLD < batch.num_rows:
                progress.say(f"{total:,} rows of {name} read")
    if first < number or not pieces:
        pieces.append(CopyPiece(f"{name}, from row {start:,}", path, first, number, total - start + 1, max(size, 1)))
    return pieces


def read(piece: CopyPiece) -> Iterator[pa.RecordBatch]:
    """Yields the record batches of a piece."""
    with pa.memory_map(str(piece.path)) as file, pa.ipc.open_file(file) as reader:
        for number in range(piece.first, piece.last):
            yield reader.get_batch(number)


def _cut(batches: Iterator[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
    """Yields the rows in batches that depend on the rows alone, not on how the database sent them: each fits into a
    piece, and ends where one does.
    """
    waiting: list[pa.RecordBatch] = []
    given = 0
    for batch in batches:
        waiting.append(batch)
        while sum(part.num_rows for part in waiting) >= (wanted := _wanted(given, rows)):
            table = pa.Table.from_batches(waiting, schema)
            yield _one(table.slice(0, wanted))
            waiting = table.slice(wanted).to_batches()
            given += wanted
    if waiting:
        yield _one(pa.Table.from_batches(waiting, schema))


def _wanted(given: int, rows: int) -> int:
    return min(records.BATCH_SIZE, rows - given % rows)


def _one(table: pa.Table) -> pa.RecordBatch:
    (batch,) = table.combine_chunks().to_batches()
    return batch

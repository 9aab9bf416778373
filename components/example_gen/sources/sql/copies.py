"""Rows copied to files, and cut by their number: in one moment of the database, and read from the files as often as
anybody likes.
"""

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from penstock.core import progress
from penstock.core.examples import records

_TOLD = 500_000  # rows after which a person is told how far it is


@dataclass(frozen=True)
class Copy:
    """A file of record batches, and how many rows and bytes each of them has."""

    path: Path
    batches: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Slice:
    """Rows of one record batch: `rows` of them from number `first` on, of batch number `batch`."""

    path: Path
    batch: int
    first: int
    rows: int


@dataclass(frozen=True)
class CopyPiece:
    """Rows of copies that follow one another."""

    name: str
    slices: tuple[Slice, ...]
    size: int

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.slices)


class Told:
    """Tells a person how many rows were read, whichever thread read them."""

    def __init__(self, name: str):
        self._name = name
        self._rows = 0
        self._lock = threading.Lock()

    def add(self, rows: int) -> None:
        with self._lock:
            self._rows += rows
            if self._rows % _TOLD < rows:
                progress.say(f"{self._rows:,} rows of {self._name} read")


def write(batches: Iterator[pa.RecordBatch], schema: pa.Schema, path: Path, told: Told) -> Copy:
    """Writes a copy. What is there of an earlier try is overwritten."""
    written = []
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            written.append((batch.num_rows, batch.nbytes))
            told.add(batch.num_rows)
    return Copy(path, written)


def cut(copies: Sequence[Copy], rows: int, name: str) -> list[CopyPiece]:
    """Returns pieces of `rows` rows each, the last one of what remains."""
    pieces: list[CopyPiece] = []
    slices: list[Slice] = []
    size, free = 0, rows
    for copy in copies:
        for number, (count, length) in enumerate(copy.batches):
            first = 0
            while first < count:
                taken = min(count - first, free)
                slices.append(Slice(copy.path, number, first, taken))
                first, free, size = first + taken, free - taken, size + length * taken // count
                if not free:
                    pieces.append(_piece(name, len(pieces) * rows, slices, size))
                    slices, size, free = [], 0, rows
    if slices:
        pieces.append(_piece(name, len(pieces) * rows, slices, size))
    return pieces


def _piece(name: str, before: int, slices: Sequence[Slice], size: int) -> CopyPiece:
    return CopyPiece(f"{name}, from row {before + 1:,}", tuple(slices), max(size, 1))


def read(piece: CopyPiece) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a piece in batches that depend on the rows alone, not on how the database sent them."""
    waiting: list[pa.RecordBatch] = []
    for batch in _slices(piece):
        waiting.append(batch)
        while sum(part.num_rows for part in waiting) >= records.BATCH_SIZE:
            table = pa.Table.from_batches(waiting)
            yield _one(table.slice(0, records.BATCH_SIZE))
            waiting = table.slice(records.BATCH_SIZE).to_batches()
    if waiting:
        yield _one(pa.Table.from_batches(waiting))


def _slices(piece: CopyPiece) -> Iterator[pa.RecordBatch]:
    for path, slices in itertools.groupby(piece.slices, lambda part: part.path):
        with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
            for part in slices:
                yield reader.get_batch(part.batch).slice(part.first, part.rows)


def _one(table: pa.Table) -> pa.RecordBatch:
    (batch,) = table.combine_chunks().to_batches()
    return batch

"""What the readers of CSV, Parquet and TFRecord have in common: pieces of files, shards of pieces, blocks of rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

# Between these a shard takes a sixteenth of the data: little data too is spread over cores, and what later reads one
# file at a time needs little memory. It depends on the data only, so the files do not depend on the workers.
_SMALLEST, _LARGEST, _SHARDS = 1 << 20, 8 << 20, 16


@dataclass(frozen=True)
class Piece:
    """A part of a file: bytes of a CSV file from one record's start to another's end, row groups, or a whole file.

    `path` is read; `name` is what the person knows the file by (`path` may be a plain copy of a compressed file).
    """

    path: Path
    name: str
    start: int
    end: int
    size: int


@dataclass(frozen=True)
class Shard:
    """What one worker reads at a time, and what becomes one file in each output split."""

    split: str
    index: int
    count: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Block:
    """Some rows: as list columns, as the Examples to write, and as Examples in canonical form to choose the split."""

    columns: pa.RecordBatch
    examples: Sequence[bytes]
    canonical: Sequence[bytes]


class Source(Protocol):
    """Reads pieces; picklable."""

    def read(self, piece: Piece) -> Iterator[Block]: ...


def shard_bytes(sizes: Iterable[int]) -> int:
    return min(_LARGEST, max(_SMALLEST, sum(sizes) // _SHARDS))


def shards(pieces: Mapping[str, Sequence[Piece]]) -> list[Shard]:
    """Groups the pieces of each input split, in order, into shards."""
    target = shard_bytes(piece.size for split in pieces.values() for piece in split)
    result = []
    for split, of_split in pieces.items():
        groups: list[list[Piece]] = []
        filled = target
        for piece in of_split:
            if filled + piece.size // 2 >= target:  # nearer to the target without this piece than with it
                groups.append([])
                filled = 0
            groups[-1].append(piece)
            filled += piece.size
        result += [Shard(split, index, len(groups), tuple(group)) for index, group in enumerate(groups)]
    return result

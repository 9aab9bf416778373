"""How data is cut: pieces that can be read apart, shards of pieces that become files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from penstock.core.files.data_files import DataFile

# Between these a shard takes a sixteenth of the data: little data too is spread over cores, and what later reads one
# file at a time needs little memory. It depends on the data only, so the files do not depend on the workers.
_SMALLEST, _LARGEST, _SHARDS = 1 << 20, 8 << 20, 16


class Piece(Protocol):
    """The smallest part of the data that can be read alone: a row group, a range of keys or of offsets. Picklable."""

    @property
    def name(self) -> str:
        """What a person knows it by, for errors: a file, a table, a topic."""

    @property
    def size(self) -> int:
        """About how many bytes it is, which is what shards are cut by."""


@dataclass(frozen=True)
class FilePiece:
    """A part of a file: bytes of a CSV file from one record's start to another's end, row groups, or a whole file.

    `path` is read; `name` is what the person knows the file by (`path` may be a plain copy of a compressed file).
    """

    path: DataFile
    name: str
    start: int
    end: int
    size: int


@dataclass(frozen=True)
class Shard[P: Piece]:
    """What one worker reads at a time, and what becomes one file in each output split: number `index` of `count`."""

    split: str
    index: int
    count: int
    pieces: tuple[P, ...]


def shard_bytes(sizes: Iterable[int]) -> int:
    """Returns how many bytes a shard of data with parts of these sizes is to have."""
    return min(_LARGEST, max(_SMALLEST, sum(sizes) // _SHARDS))


def shards[P: Piece](pieces: Mapping[str, Sequence[P]]) -> list[Shard[P]]:
    """Groups the pieces of each input split, in order, into shards."""
    target = shard_bytes(piece.size for of_split in pieces.values() for piece in of_split)
    result: list[Shard[P]] = []
    for split, of_split in pieces.items():
        groups: list[list[P]] = []
        filled = target
        for piece in of_split:
            if filled + piece.size // 2 >= target:  # nearer to the target without this piece than with it
                groups.append([])
                filled = 0
            groups[-1].append(piece)
            filled += piece.size
        result += [Shard(split, index, len(groups), tuple(group)) for index, group in enumerate(groups)]
    return result

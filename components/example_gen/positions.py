"""Which output split a row belongs to, by its place in the data: rows that are equal may be in different splits.

By row, the hash of the file's name and the row's number in it decides: rows keep their split when others are appended
and files are added, whatever becomes of their values. At random, rows are dealt: of as many as there are buckets, each
split gets its own number, in an order that the seed decides, of all rows or of those of each class. These rows keep
their split when others are appended at the end of the last file.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import ClassVar

import numpy as np
import pyarrow as pa

from penstock.components.engines import Engine
from penstock.components.example_gen.configs import OutputSplits
from penstock.components.example_gen.sources.pieces import Piece, Shard
from penstock.components.example_gen.sources.source import Block, Opened, Place, Source
from penstock.components.example_gen.splits import Assigned, ByContent, Indices, Splitter, hash_buckets, split
from penstock.core.errors import DataError
from penstock.core.examples import encoder
from penstock.core.labels import MOST_CLASSES

_MOST_DEALT = 1 << 12  # buckets; of more, each row is drawn alone


@dataclass(frozen=True)
class ByRow(Splitter):
    """By the hash of the row's number in its file, and the file's name below the folder of the data."""

    needs_places: ClassVar[bool] = True

    def assign(self, block: Block, place: Place) -> Assigned:
        numbers = range(place.row, place.row + block.columns.num_rows)
        keys = [f"{place.file}\0{number}".encode() for number in numbers]
        return Assigned(split(hash_buckets(keys, int(self.ends[-1])), self.ends))


@dataclass(frozen=True)
class AtRandom(Splitter):
    """By chance, with a seed: all rows, or those of each class of the label alone (stratified)."""

    needs_places: ClassVar[bool] = True

    def assign(self, block: Block, place: Place) -> Assigned:
        label = self.splits.stratify
        if not label:
            return Assigned(self._deal(b"", place.position, block.columns.num_rows))
        indices: Indices = np.zeros(block.columns.num_rows, np.int64)
        values, codes = _classes(block.columns, label)
        for code, value in enumerate(values):
            rows = np.flatnonzero(codes == code)
            indices[rows] = self._deal(value, place.classes.get(value, 0), len(rows))
        return Assigned(indices)

    def after(self, block: Block, place: Place) -> Place:
        if not self.splits.stratify:
            return super().after(block, place)
        counts = Counter(place.classes)
        counts.update(_counted(block.columns, self.splits.stratify))
        return replace(super().after(block, place), classes=counts)

    def _deal(self, group: bytes, start: int, count: int) -> Indices:
        """Returns the splits of the rows number `start` to `start + count` of a group."""
        divisor = math.gcd(*self.splits.buckets)
        sizes = [size // divisor for size in self.splits.buckets]
        total = sum(sizes)
        if total > _MOST_DEALT:
            return split(self._drawn(group, start, count) % total, np.cumsum(sizes))
        first = start - start % total
        deals = -(-(start + count - first) // total)
        order = np.argsort(self._drawn(group, first, deals * total).reshape(deals, total), axis=1, kind="stable")
        cards: Indices = np.repeat(np.arange(len(sizes)), sizes)
        dealt: Indices = np.empty((deals, total), np.int64)
        np.put_along_axis(dealt, order, np.broadcast_to(cards, (deals, total)), axis=1)
        return dealt.reshape(-1)[start - first : start - first + count]

    def _drawn(self, group: bytes, start: int, count: int) -> Indices:
        """Returns a random number below 2**62 for each row, which depends on the seed, the group and the row alone."""
        key = int.from_bytes(sha256(f"{self.splits.seed}\0".encode() + group).digest()[:8], "big")
        numbers = np.arange(start, start + count, dtype=np.uint64) + np.uint64(key)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64 (Steele et al. 2014)
            numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
        return ((numbers ^ (numbers >> np.uint64(31))) >> np.uint64(2)).astype(np.int64)


def splitter(splits: OutputSplits) -> Splitter:
    """Returns what divides rows as `splits.by` says; with "auto" by content, which is what is tried first."""
    kinds: dict[str, type[Splitter]] = {"row": ByRow, "random": AtRandom}
    return kinds.get(splits.by, ByContent)(splits)


def _counted(columns: pa.RecordBatch, label: str) -> dict[bytes, int]:
    """Returns how many rows there are of each class."""
    values, codes = _classes(columns, label)
    return dict(zip(values, np.bincount(codes, minlength=len(values)).tolist(), strict=True))


def _classes(columns: pa.RecordBatch, label: str) -> tuple[list[bytes], Indices]:
    """Returns the classes of some rows, serialized, and each row's index into them; rows without a label are one."""
    if label not in columns.schema.names:
        return [b""], np.zeros(columns.num_rows, np.int64)
    encoded = encoder.encode_feature(columns.column(label)).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def places[P: Piece](
    opened: Opened[P], source: Source[P], engine: Engine, stratify: str
) -> dict[tuple[str, int], tuple[Place, ...]]:
    """Counts all rows; returns where each piece of a shard begins, by the shard's split and index.

    stratify: the label, by whose classes rows are counted as well; "" for none. A DataError if it has too many.
    """
    found: dict[tuple[str, int], tuple[Place, ...]] = {}
    of_file: Counter[str] = Counter()
    of_class: Counter[bytes] = Counter()
    position = 0
    counted = engine.map(_Count(source, stratify), opened.shards)
    for shard, pieces in zip(opened.shards, counted, strict=True):
        of_shard = []
        for piece, count in zip(shard.pieces, pieces, strict=True):
            file = _below(piece.name, opened.root)
            of_shard.append(Place(piece.name, file, of_file[file], position, dict(of_class)))
            of_file[file] += count.rows
            of_class.update(count.classes)
            position += count.rows
            if len(of_class) > MOST_CLASSES + 1:  # one may be that of the rows without a label
                raise DataError(
                    f"splits.stratify: the label {stratify!r} has more than {MOST_CLASSES:,} values: expected classes; "
                    "splits: {by: random} without stratify divides rows of any label"
                )
        found[shard.split, shard.index] = tuple(of_shard)
    return found


def _below(name: str, root: str) -> str:
    """Returns a piece's name below the folder of the data, which is the same wherever that folder is."""
    return name.removeprefix(f"{root.rstrip('/')}/") if root else name


@dataclass(frozen=True)
class _Counted:
    rows: int
    classes: Mapping[bytes, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Count[P: Piece]:
    """Counts the rows of each piece of a shard. Picklable: it travels to the engine's workers."""

    source: Source[P]
    stratify: str

    def __call__(self, shard: Shard[P]) -> Sequence[_Counted]:
        return [
            self._of_classes(piece) if self.stratify else _Counted(self.source.rows(piece)) for piece in shard.pieces
        ]

    def _of_classes(self, piece: P) -> _Counted:
        rows, of_class = 0, Counter[bytes]()
        for block in self.source.read(piece):
            rows += block.columns.num_rows
            of_class.update(_counted(block.columns, self.stratify))
        return _Counted(rows, of_class)

"""Which output split a row belongs to, by what it holds: TFX's own assignment, so a pipeline that moves here keeps it.

The bucket is the SHA-256 of the serialized Example (or of one feature of it) modulo the buckets' sum. It depends on
nothing but the row: not on its place, the file it stands in, or the rows around it. So rows that are equal are in one
split. positions.py divides by the place instead.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.example_gen.configs import OutputSplits
from penstock.components.example_gen.sources.source import Block, Place
from penstock.core.errors import DataError
from penstock.core.examples import encoder
from penstock.core.statistics.distinct_count import Hashes
from penstock.core.suggestions import did_you_mean

type Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Assigned:
    """The splits of a block's rows.

    Args:
        indices: Each row's index into the names of the splits.
        hashes: Of the rows by whose contents they are divided, 64 bits each; none where something else divides them.
        unpartitioned: Which rows have no value of the partition feature; None of all that have one.
    """

    indices: Indices
    hashes: Hashes | None = None
    unpartitioned: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Splitter(ABC):
    """Assigns rows to `splits.names`. Picklable: it travels to the engine's workers."""

    splits: OutputSplits
    needs_places: ClassVar[bool] = False  # so all rows are counted before one is assigned

    @abstractmethod
    def assign(self, block: Block, place: Place) -> Assigned:
        """Returns the splits of a block's rows; a DataError for rows that cannot be divided like that."""

    def after(self, block: Block, place: Place) -> Place:
        """Returns where the next block begins."""
        rows = block.columns.num_rows
        return replace(place, row=place.row + rows, position=place.position + rows)

    @property
    def ends(self) -> Indices:
        """The first bucket that is not the split's own any more, of each split."""
        ends: Indices = np.cumsum(self.splits.buckets)
        return ends


@dataclass(frozen=True)
class ByContent(Splitter):
    """By the hash of all that a row holds, or of its partition feature."""

    def assign(self, block: Block, place: Place) -> Assigned:
        """Raises a DataError if the partition feature does not exist, is no integer and no bytes, or has no kind."""
        name = self.splits.partition_feature_name
        if not name:
            digests = _digests(block.canonical)
            return Assigned(split(buckets(digests, int(self.ends[-1])), self.ends), _first_words(digests))
        column = self._partition_column(block.columns, place.name)
        encoded = encoder.encode_feature(column).dictionary_encode()
        distinct: list[bytes] = encoded.dictionary.to_pylist()
        if b"" in distinct:
            raise DataError(f"{place.name}: partition feature {name!r}: expected in every row, found a row without it")
        of_values = split(buckets(_digests(distinct), int(self.ends[-1])), self.ends)
        return Assigned(of_values[encoded.indices.to_numpy()], unpartitioned=_empty(column))

    def _partition_column(self, columns: pa.RecordBatch, where: str) -> pa.Array:
        name = self.splits.partition_feature_name
        if name not in columns.schema.names:
            hint = did_you_mean(name, columns.schema.names, "the columns are")
            raise DataError(f"{where}: partition feature {name!r} does not exist; {hint}")
        column = columns.column(name)
        if not pa.types.is_null(column.type) and pa.types.is_floating(column.type.value_type):
            raise DataError(
                f"{where}: partition feature {name!r}: expected integers or bytes, found floats, as "
                "one number that is no integer makes all of them: mend it, or divide by another feature"
            )
        return column


def split(of_rows: Indices, ends: Indices) -> Indices:
    """Returns the index of the first of `ends` above each row's bucket."""
    indices: Indices = np.digitize(of_rows, ends)
    return indices


def hash_buckets(keys: Sequence[bytes], count: int) -> Indices:
    """Returns each key's SHA-256, as a big-endian number, modulo `count` (less than 2**32)."""
    return buckets(_digests(keys), count)


type _Digests = npt.NDArray[np.uint32]  # SHA-256, [rows, 8] big-endian words


def _digests(keys: Sequence[bytes]) -> _Digests:
    words: _Digests = np.frombuffer(b"".join([sha256(key).digest() for key in keys]), ">u4").reshape(-1, 8)
    return words


def _first_words(digests: _Digests) -> Hashes:
    return (digests[:, 0].astype(np.uint64) << np.uint64(32)) | digests[:, 1].astype(np.uint64)


def buckets(digests: _Digests, count: int) -> Indices:
    """Returns each digest, as a big-endian number, modulo `count`."""
    rest: npt.NDArray[np.uint64] = np.zeros(len(digests), np.uint64)
    for place in range(8):
        rest = ((rest << np.uint64(32)) | digests[:, place].astype(np.uint64)) % np.uint64(count)
    return rest.astype(np.int64)


def _empty(column: pa.Array) -> npt.NDArray[np.bool_] | None:
    """Returns which rows have no value, or an empty text alone; None if there are none."""
    counts = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    empty: npt.NDArray[np.bool_] = counts == 0
    values = column.flatten()
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        characters = np.bincount(
            pc.list_parent_indices(column).to_numpy(),
            weights=pc.binary_length(values).to_numpy(),
            minlength=len(column),
        )
        empty |= characters == 0
    return empty if empty.any() else None

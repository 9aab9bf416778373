"""Sources whose rows carry no types, such as JSON: a column is what its values are in all rows."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import pyarrow as pa

from penstock.components.engines import Engine
from penstock.components.example_gen.sources import columns
from penstock.components.example_gen.sources.columns import Kind
from penstock.components.example_gen.sources.pieces import Piece, Shard
from penstock.components.example_gen.sources.source import Block, TypesGrew
from penstock.components.example_gen.sources.table import TableSource
from penstock.core.errors import DataError

_FLOATS = pa.large_list(pa.float32())


@dataclass(frozen=True)
class InferredSource[P: Piece](TableSource[P]):
    """A source that finds its types in the rows: integers are floats where one row has a float, and no row is text
    where others are numbers.

    A row has the features that it has values of, whatever the rows beside it have. So its bytes, and its split with
    them, are its own. `kinds` are those of the rows that were looked at so far; of none, where `open` looks at no row.
    """

    skips_nulls: ClassVar[bool] = True
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    @abstractmethod
    def batches(self, piece: P) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a piece in order, with the types that those of the batch have."""

    def block(self, features: pa.RecordBatch, piece: P) -> Block:
        """Returns features with the types of all rows, without those that no row here has, unless none has any.

        Raises TypesGrew where these rows have more than were known.
        """
        filled = [field.name for field in features.schema if not pa.types.is_null(field.type)]
        features = features.select(filled) if filled else features
        seen = merged(self.kinds, of_features(features), piece.name)
        if seen != self.kinds:
            raise TypesGrew
        grown = [
            column.cast(_FLOATS) if kind == "floats" and not pa.types.is_null(column.type) else column
            for column, kind in zip(features.columns, map(seen.get, features.schema.names), strict=True)
        ]
        return super().block(pa.RecordBatch.from_arrays(grown, features.schema.names), piece)

    def with_all_types(self, shards: Sequence[Shard[P]], engine: Engine) -> Self:
        """Returns a source that has looked at all rows; a DataError where a column is text here and numbers there."""
        found = engine.fold(_Look(self), _merge, shards)
        return replace(self, kinds=merged(self.kinds, found.kinds, found.where) if found else self.kinds)

    def kinds_of(self, piece: P) -> dict[str, Kind]:
        """Returns the kinds that the rows of a piece have."""
        found: dict[str, Kind] = {}
        for batch in self.batches(piece):
            found = merged(found, of_features(columns.features(batch, piece.name)), piece.name)
        return found


def of_features(features: pa.RecordBatch) -> dict[str, Kind]:
    """Returns the kind of each feature, as `columns.features` makes them."""
    return {
        name: "no type" if pa.types.is_null(column.type) else _kind(column.type.value_type)
        for name, column in zip(features.schema.names, features.columns, strict=True)
    }


def merged(first: Mapping[str, Kind], other: Mapping[str, Kind], where: str) -> dict[str, Kind]:
    """Returns the kinds of all rows; a DataError, which says that the others are `where`, for text beside numbers."""
    result = dict(first)
    for name, kind in other.items():
        known = result.setdefault(name, kind)
        if known == kind or kind == "no type":
            continue
        if "bytes" in (known, kind) and known != "no type":
            raise DataError(
                f"{where}: column {name!r}: expected {_words(known)}, as in other rows, found {_words(kind)}: write it "
                "alike in all rows, or leave the column out"
            )
        result[name] = kind if known == "no type" else "floats"
    return result


def _words(kind: Kind) -> str:
    return "text" if kind == "bytes" else "numbers"


def _kind(values: pa.DataType) -> Kind:
    if pa.types.is_integer(values):
        return "integers"
    return "floats" if pa.types.is_floating(values) else "bytes"


@dataclass
class _Found:
    kinds: dict[str, Kind]
    where: str


@dataclass(frozen=True)
class _Look[P: Piece]:
    """Finds the kinds of a shard's rows. Picklable: it travels to the engine's workers."""

    source: InferredSource[P]

    def __call__(self, shard: Shard[P]) -> _Found:
        found: dict[str, Kind] = {}
        for piece in shard.pieces:
            found = merged(found, self.source.kinds_of(piece), piece.name)
        return _Found(found, shard.pieces[0].name)


def _merge(total: _Found, other: _Found) -> _Found:
    return _Found(merged(total.kinds, other.kinds, other.where), total.where)

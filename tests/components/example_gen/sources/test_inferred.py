"""A source without types of its own: those of a column are what all of its values have."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest

from penstock.components.engines import open_engine
from penstock.components.example_gen.sources import inferred
from penstock.components.example_gen.sources.columns import Kind
from penstock.components.example_gen.sources.inferred import InferredSource
from penstock.components.example_gen.sources.pieces import Shard
from penstock.components.example_gen.sources.source import Request, TypesGrew
from penstock.core.errors import DataError
from penstock.core.examples import records


@dataclass(frozen=True)
class Part:
    name: str
    rows: tuple[dict[str, Any], ...]
    size: int = 1


class Rows(InferredSource[Part]):
    """Rows as JSON has them."""

    @classmethod
    def open(cls, request: Request) -> Any:
        raise NotImplementedError

    def batches(self, piece: Part) -> Iterator[pa.RecordBatch]:
        yield from (pa.RecordBatch.from_pylist([row]) for row in piece.rows)


def _shards(*parts: tuple[dict[str, Any], ...]) -> list[Shard[Part]]:
    return [Shard("all", index, len(parts), (Part(f"part {index}", rows),)) for index, rows in enumerate(parts)]


@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        ([({"x": 1},), ({"x": 2.5},)], {"x": "floats"}),
        ([({"x": 1.5},), ({"x": 2},)], {"x": "floats"}),
        ([({"x": None},), ({"x": "a"},)], {"x": "bytes"}),
        ([({"x": True},), ({"x": 2},)], {"x": "integers"}),
        ([({"x": [1, 2]},), ({"x": []},), ({"y": {"z": "a"}},)], {"x": "integers", "y.z": "bytes"}),
        ([({"x": None},), ({"x": None},)], {"x": "no type"}),
    ],
)
@pytest.mark.parametrize("workers", ["local:1", "local:2"])
def test_types_are_those_of_all_rows(
    parts: list[tuple[dict[str, Any], ...]], kinds: dict[str, Kind], workers: str
) -> None:
    shards = _shards(*parts)
    with open_engine(workers) as engine:
        source = Rows().with_all_types(shards, engine)
    assert source.kinds == kinds
    blocks = [block for shard in shards for block in source.read(shard.pieces[0])]
    arrow = {"integers": pa.int64(), "floats": pa.float32(), "bytes": pa.large_binary()}
    for block in blocks:
        assert records.decode(block.examples).num_rows == block.columns.num_rows
        for name, column in zip(block.columns.schema.names, block.columns.columns, strict=True):
            assert pa.types.is_null(column.type) or column.type.value_type == arrow[kinds[name]]


def test_a_rows_bytes_are_its_own_whatever_stands_beside_it() -> None:
    class Together(Rows):
        def batches(self, piece: Part) -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pylist(list(piece.rows), pa.schema({"x": pa.int64(), "y": pa.string()}))

    rows: tuple[dict[str, Any], ...] = ({"x": 1, "y": "a"}, {"x": 2, "y": None}, {"x": None, "y": None})
    with open_engine("local:1") as engine:
        source = Together().with_all_types(_shards(rows), engine)
    (together,) = source.read(Part("all", rows))
    alone = [next(source.read(Part("one", (row,)))).canonical[0] for row in rows]
    assert list(together.canonical) == alone


def test_a_row_with_more_types_than_are_known_says_so() -> None:
    (shard,) = _shards(({"x": 1}, {"x": 2.5}))
    blocks = Rows(kinds={"x": "integers"}).read(shard.pieces[0])
    assert next(blocks).columns.to_pylist() == [{"x": [1]}]
    with pytest.raises(TypesGrew):
        next(blocks)


def test_text_beside_numbers_names_the_place_and_the_column() -> None:
    shards = _shards(({"x": 1},), ({"x": 2},), ({"x": "three"},))
    with open_engine("local:2") as engine, pytest.raises(DataError) as raised:
        Rows().with_all_types(shards, engine)
    assert raised.value.message == (
        "part 2: column 'x': expected numbers, as in other rows, found text: write it alike in all rows, or leave the "
        "column out"
    )


def test_kinds_are_merged_whatever_the_order() -> None:
    first: dict[str, Kind] = {"x": "floats", "y": "no type"}
    other: dict[str, Kind] = {"x": "integers", "y": "bytes", "z": "integers"}
    both = {"x": "floats", "y": "bytes", "z": "integers"}
    assert inferred.merged(first, other, "here") == inferred.merged(other, first, "here") == both

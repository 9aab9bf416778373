"""Columns of every Arrow type as features, those of nested rows among them."""

import datetime
import uuid
from typing import Any

import pyarrow as pa
import pytest

from penstock.components.example_gen.sources import columns
from penstock.core.errors import DataError
from penstock.core.examples import records

UTC = datetime.UTC
NESTED: list[dict[str, Any]] = [
    {
        "id": 1,
        "at": {"city": "Bonn", "place": {"x": 1.5}},
        "items": [{"price": 2, "name": "a"}, {"price": 3, "name": "b"}],
    },
    {"id": 2, "at": None, "items": None},
    {"id": 3, "at": {"city": None, "place": None}, "items": []},
]


def test_the_fields_of_structs_are_columns_and_those_of_lists_of_structs_are_lists() -> None:
    rows = pa.RecordBatch.from_pylist(NESTED)
    features = columns.features(rows, "here")
    assert features.to_pylist() == [
        {"id": [1], "at.city": [b"Bonn"], "at.place.x": [1.5], "items.name": [b"a", b"b"], "items.price": [2, 3]},
        {"id": [2], "at.city": None, "at.place.x": None, "items.name": None, "items.price": None},
        {"id": [3], "at.city": None, "at.place.x": None, "items.name": [], "items.price": []},
    ]
    assert columns.kinds(rows.schema, "here") == {
        "id": "integers",
        "at.city": "bytes",
        "at.place.x": "floats",
        "items.name": "bytes",
        "items.price": "integers",
    }


def test_a_part_of_nested_rows_has_its_own_values() -> None:
    rows = pa.RecordBatch.from_pylist(NESTED * 3)
    whole = columns.features(rows, "here").to_pylist()
    for start in range(9):
        assert columns.features(rows.slice(start, 2), "here").to_pylist() == whole[start : start + 2]
        assert records.decode(records.encode(columns.features(rows.slice(start, 2), "here"))).num_rows


def test_maps_zones_and_types_of_extensions() -> None:
    tags = pa.array([[("a", 1), ("b", 2)], None], pa.map_(pa.string(), pa.int32()))
    moments = pa.array([datetime.datetime(2026, 3, 29, 1, 30, tzinfo=UTC), None], pa.timestamp("us", "UTC"))
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(int=7).bytes, None], pa.binary(16)))
    rows = pa.RecordBatch.from_arrays([tags, moments, ids], ["tags", "moment", "id"])
    assert columns.features(rows, "here").to_pylist() == [
        {
            "tags.key": [b"a", b"b"],
            "tags.value": [1, 2],
            "moment": [b"2026-03-29 01:30:00.000000Z"],
            "id": [uuid.UUID(int=7).bytes],
        },
        {"tags.key": None, "tags.value": None, "moment": None, "id": None},
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": [[1]]}], "here: column 'a': expected numbers, text, bytes, times or lists of them, found list"),
        ([{"a": {"b": 1}, "a.b": 2}], "here: expected different names of columns, found 'a.b' twice"),
        ([{"a": [{"b": 1}, {"b": None}]}], "here: column 'a.b': expected no null within a list"),
        ([{"a": datetime.timedelta(1)}], "here: column 'a': expected numbers, .* found duration"),
        ([{"a": pa.MonthDayNano([1, 2, 3])}], "here: column 'a': expected numbers, .* found month_day_nano_interval"),
    ],
)
def test_what_is_no_feature(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        columns.features(pa.RecordBatch.from_pylist(rows), "here")


def test_columns_are_selected_by_name() -> None:
    schema = pa.schema({"fare": pa.int64(), "tips": pa.int64()})
    assert columns.selected(schema, None, "trips") == ["fare", "tips"]
    assert columns.selected(schema, ["tips"], "trips") == ["tips"]
    with pytest.raises(DataError, match=r"trips: there is no column 'tip'; did you mean 'tips'\?"):
        columns.selected(schema, ["tip"], "trips")

"""What a server does of cleaning: to rows as they come, which it never drops."""

import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.core.cleaning import cleaning, parsing
from penstock.core.cleaning.cleaning import Cleaning
from penstock.core.cleaning.rules import Type
from penstock.core.cleaning.serving import Cleaner
from penstock.core.errors import DataError
from penstock.core.examples import records

TYPES: dict[str, Type] = {"fare": "float", "miles": "text", "unit": "text", "n": "integer", "empty": "text"}
RULES: list[dict[str, Any]] = [
    {"rule": "duplicates"},
    {"rule": "missing_values", "values": ["?"]},
    {"rule": "type", "columns": ["miles"], "to": "float", "decimal_point": ","},
    {"rule": "unit", "columns": ["miles"], "by": "unit", "to": "mi", "units": {"km": {"factor": 0.5}}},
    {"rule": "range", "columns": ["fare"], "min": 0},
    {"rule": "range", "columns": ["n"], "min": 5, "otherwise": "drop"},
    {"rule": "values", "columns": ["unit"], "allowed": ["mi"], "mapping": {"miles": "mi"}, "otherwise": "drop"},
    {"rule": "outliers", "columns": ["fare"], "otherwise": "flag"},
    {"rule": "missing", "columns": ["fare", "miles"], "action": "median"},
    {"rule": "missing", "columns": ["n"], "action": "previous"},
    {"rule": "missing", "columns": ["empty"], "action": "drop_column"},
    {"rule": "check", "expression": "fare > 1000"},
    {"rule": "reference", "columns": ["n"], "file": "/data/numbers.csv", "key": "id"},
    {"rule": "reference", "columns": ["unit"], "file": "/data/units.csv", "otherwise": "drop"},
]
LEARNED = {
    7: {"fare": [1.0, 50.0]},
    8: {"fare": 7.5, "miles": 2.0},
    10: {"empty": {"missing": 1.0, "dropped": True}},
    12: {"n": ["9", "x"]},
}
MADE = cleaning.of(parsing.rules(RULES), TYPES).with_learned(LEARNED)


def example(**values: Any) -> bytes:
    kinds = {float: pa.float32(), int: pa.int64(), bytes: pa.large_binary()}
    columns = {name: pa.array([[value]], pa.large_list(kinds[type(value)])) for name, value in values.items()}
    (encoded,) = records.encode(pa.RecordBatch.from_pydict(columns))
    return encoded


def served(*examples: bytes) -> list[dict[str, Any]]:
    cleaned = pickle.loads(pickle.dumps(Cleaner(MADE))).clean(examples)
    rows = [records.decode([one]).to_pylist()[0] for one in cleaned]
    return [{name: value[0] for name, value in row.items() if value} for row in rows]


def test_rows_are_cleaned_together_as_they_are_alone() -> None:
    rows = [
        example(fare=-3.0, miles=b"1,5", unit=b"km", n=1, empty=b"x"),
        example(fare=99.0, miles=b"8", unit=b"miles", n=9, empty=b"x"),
        example(miles=b"?", unit=b"yd"),
        example(miles=2.0),  # of the type that it has after cleaning
    ]
    expected = [
        {"fare": 7.5, "miles": 0.75, "unit": b"mi", "fare_flagged": 0},
        {"fare": 99.0, "miles": 8.0, "unit": b"mi", "n": 9, "fare_flagged": 1},
        {"fare": 7.5, "miles": 2.0, "unit": b"yd", "fare_flagged": 0},
        {"fare": 7.5, "miles": 2.0, "fare_flagged": 0},
    ]
    assert served(*rows) == expected  # none of them is dropped
    assert [served(row)[0] for row in rows] == expected
    assert served(*rows[:2]) == expected[:2]


def test_what_cannot_be_cleaned_is_left_to_the_model() -> None:
    good, wrong = example(fare=-1.0, miles=b"1", unit=b"mi"), example(fare=b"text", unit=b"mi")
    cleaner = Cleaner(MADE)
    assert cleaner.clean([b"no example", wrong, good])[0] == b"no example"
    assert cleaner.clean([b"no example"]) == [b"no example"]
    assert records.decode([cleaner.clean([wrong, good])[1]])["fare"].to_pylist() == [[7.5]]
    assert cleaner.clean([]) == []


def test_what_a_request_may_have_and_lack() -> None:
    assert MADE.reads == {"miles": "text", "unit": "text", "fare": "float", "n": "integer"}
    assert MADE.filled == {"fare", "miles"}
    assert MADE.made == {"fare_flagged"}
    assert MADE.converted == {"miles"}


def test_the_file_says_what_a_server_does(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    MADE.write(path)
    said = {rule["name"]: rule["serving"] for rule in json.loads(path.read_text())["rules"]}
    none_dropped = "a server answers for every row, so none is dropped"
    assert said["duplicates"] == said["range n"] == said["check fare > 1000"] == none_dropped
    assert said["values unit"] == f"values are mapped; {none_dropped}"
    assert said["missing n (previous)"] == "a request has no row before it"
    assert said["range fare"] == said["missing fare, miles (median)"] == "applied"
    assert said["reference n"] == "applied"
    assert said["reference unit"] == none_dropped
    MADE.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_the_file_is_all_that_a_server_needs(tmp_path: Path) -> None:
    MADE.write(tmp_path / "rules.json")
    read = Cleaning.read(tmp_path / "rules.json")
    assert read.types == MADE.types
    assert [dict(step.learned) for step in read.steps] == [dict(step.learned) for step in MADE.steps]
    assert read.rules[:12] == MADE.rules[:12]
    assert "/data" not in (tmp_path / "rules.json").read_text()
    rows = [example(n=9), example(n=10)]
    assert Cleaner(read).clean(rows) == Cleaner(MADE).clean(rows)


def test_without_a_rule_for_servers_there_is_no_cleaner(tmp_path: Path) -> None:
    assert Cleaner.beside(tmp_path / "none.json") is None
    cleaning.of(parsing.rules([{"rule": "duplicates"}]), TYPES).write(tmp_path / "dropping.json")
    assert Cleaner.beside(tmp_path / "dropping.json") is None


UNLEARNED = '{"version": 1, "types": {}, "rules": [{"rule": "missing", "columns": ["a"], "action": "median"}]}'
WITHOUT_VALUES = '{"version": 1, "types": {}, "rules": [{"rule": "reference", "columns": ["a"], "file": "a.csv"}]}'


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "rules": [{"rule": "x"}]}', UNLEARNED, WITHOUT_VALUES]
)
def test_damaged_files(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rules.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"rules\.json: expected rules that ExampleCleaner has written"):
        Cleaner.beside(path)

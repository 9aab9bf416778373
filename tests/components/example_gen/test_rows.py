"""What is told of the rows that are divided: few different ones, an empty partition feature, a column's odd number."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.example_gen.rows import Rows

Folder = Callable[[dict[str, str | bytes]], Path]
Generate = Callable[..., Any]
AUTO = json.dumps({"split_config": {"by": "auto"}})
FEW = "x,z,y\n" + "".join(f"{row % 6},{row % 4},{row % 3}\n" for row in range(1200))  # 12 different rows
MANY = "x,y\n" + "".join(f"{row},{row % 3}\n" for row in range(1200))


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_few_different_rows_are_told(generate: Generate, folder: Folder, warnings: Callable[[], list[str]]) -> None:
    generated = generate(folder({"a.csv": FEW}))
    assert warnings() == [
        "1,200 rows, and 12 different ones: equal rows are in one split, so no other split has a row like those of "
        "'eval'; splits: {by: row} divides them by their place in the data, and {by: random} at random"
    ]
    rows = [{tuple(map(tuple, row.values())) for row in generated.rows(split)} for split in ("train", "eval")]
    assert not rows[0] & rows[1]
    assert json.loads(generated.metadata["division"]) == {
        "splits": {"train": 2, "eval": 1}, "by": "content", "partition_feature": "", "seed": 0, "stratify": "",
    }  # fmt: skip


def test_auto_divides_few_different_rows_by_their_place(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]]
) -> None:
    generated = generate(folder({"a.csv": FEW}), output_config=AUTO, label="y")
    assert warnings() == [
        "1,200 rows, and 12 different ones: by their contents, equal rows would all be in one split; so they are "
        "divided "
        "by their place in the data (splits: {by: row})"
    ]
    kinds = [Counter(tuple(map(tuple, row.values())) for row in generated.rows(split)) for split in ("train", "eval")]
    assert len(kinds[0]) == len(kinds[1]) == 12
    assert kinds[0].total() + kinds[1].total() == 1200
    assert json.loads(generated.metadata["division"])["by"] == "row"


def test_auto_saves_a_split_that_would_be_empty(generate: Generate, folder: Folder) -> None:
    generated = generate(folder({"a.csv": "x,y\n" + "1,0\n1,1\n" * 100}), output_config=AUTO, label="y")
    assert generated.examples.splits() == ["eval", "train"]


def test_auto_leaves_others_to_their_contents(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]]
) -> None:
    root = folder({"a.csv": MANY})
    assert generate(root, output_config=AUTO).content() == generate(root).content()
    assert not warnings()


def test_rows_without_the_partition_feature_are_told(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]]
) -> None:
    rows = [f"{row},{row % 17 if row % 3 else ''}" for row in range(300)]
    config = json.dumps({"split_config": {"partition_feature_name": "g"}})
    generated = generate(folder({"a.csv": "\n".join(["x,g", *rows, ""])}), output_config=config)
    (split,) = [split for split in ("train", "eval") if any(not row["g"] for row in generated.rows(split))]
    assert warnings() == [
        f"100 of 300 rows have no value of the partition feature 'g': they are equal in it, so all of them are in "
        f"split "
        f"{split!r}; fill it, or leave out splits.partition_feature"
    ]
    caplog_free = generate(folder({"a.csv": "\n".join(["x,g", *(f"{row},g{row % 17}" for row in range(300)), ""])}),
        output_config=config)  # fmt: skip
    assert caplog_free.metadata["column_types"] == '{"g": "bytes", "x": "int64"}'
    assert len(warnings()) == 1


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        (
            ["1.5"],
            "column 'x': 1 of its 300 numbers is no integer (1.5): so all are floats of 32 bits, and the rows have ",
        ),
        (["0.25", "7.5"], "column 'x': 2 of its 300 numbers are no integers (0.25): so all are floats"),
        (["1.0"], None),
        ([f"{number}.5" for number in range(20)], None),
    ],
)
def test_a_number_that_makes_integers_floats_is_told(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]], odd: list[str], sentence: str | None
) -> None:
    cells = [str(row) for row in range(300 - len(odd))] + odd
    generate(folder({"a.csv": "\n".join(["x,y", *(f"{cell},{row % 2}" for row, cell in enumerate(cells)), ""])}))
    assert [line.startswith(sentence or "") for line in warnings()] == ([True] if sentence else [])


def test_types_of_all_rows_are_known(generate: Generate, folder: Folder) -> None:
    files = {"a.csv": "i,f,t,n\n1,0.5,a,\n" * 1 + "2,1.5,b,\n" * 40}
    assert json.loads(generate(folder(files)).metadata["column_types"]) == {
        "f": "float", "i": "int64", "n": "", "t": "bytes",
    }  # fmt: skip


def test_more_types_than_metadata_holds_are_left_out() -> None:
    from penstock.components.example_gen.configs import OutputSplits

    rows = Rows(types={f"column number {number}": "float" for number in range(2000)})
    assert list(rows.metadata(OutputSplits(("train",), (1,)))) == ["division"]

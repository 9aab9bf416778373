"""What is told of a label that can be learnt all the same: a class that a split lacks, and values such as NA."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.components.example_gen.test_bad_input import ADVICE

Folder = Callable[[dict[str, str | bytes]], Path]
Generate = Callable[..., Any]
FEW = [f"{row},{'ab'[row % 2]}" for row in range(60)]


def csv(*rows: str) -> dict[str, str | bytes]:
    return {"a.csv": "\n".join(["x,y", *rows, ""])}


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_class_that_a_split_lacks_is_told(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]]
) -> None:
    generated = generate(folder(csv(*FEW, "7,rare")), label="y")
    (lacks,) = [split for split in ("train", "eval") if [b"rare"] not in [row["y"] for row in generated.rows(split)]]
    assert warnings() == [
        f"label 'y': split {lacks!r} has no row of class 'rare' (1 in all): what is trained on it does not learn that, "
        "what is evaluated on it is not measured by it; bring more data, or give it more hash buckets"
    ]


def test_many_classes_that_a_split_lacks_are_one_line(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]]
) -> None:
    rows = [f"{row // 10},{row // 10}" for row in range(90)]
    config = json.dumps({"split_config": {"partition_feature_name": "x"}})
    generate(folder(csv(*rows)), label="y", output_config=config)
    assert warnings()
    assert all(
        f"rows with the same 'x' {ADVICE}; splits: {{by: random, stratify: true}}" in line for line in warnings()
    )
    assert any(" (10 in all) and " in line and line.count(" in all)") == 3 for line in warnings())


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([f"class {number}" for number in range(30)], True),
        (["1.5", "2.5"], True),
        (["0", "1000"], True),
        ([str(number) for number in range(20)], True),
        ([str(number) for number in range(21)], False),
        (["100", "200", "300"], False),
        (["1.5", "2.5", "3.5"], False),
    ],
)
def test_classes_are_what_the_trainer_takes_for_classes(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]], values: list[str], classes: bool
) -> None:
    """All rows of a value have one x, so they are in one split."""
    root = folder(csv(*(f"{number},{value}" for number, value in enumerate(values) for _ in range(30))))
    config = {"splits": [{"name": "train", "hash_buckets": 1}, {"name": "eval", "hash_buckets": 1}]}
    output = json.dumps({"split_config": config | {"partition_feature_name": "x"}})
    generate(root, label="y", output_config=output)
    assert bool(warnings()) is classes


def test_values_that_mean_none_are_told(generate: Generate, folder: Folder, warnings: Callable[[], list[str]]) -> None:
    rows = [*FEW, *(f"{row},NA" for row in range(30)), *(f"{row}, " for row in range(20))]
    generated = generate(folder(csv(*rows)), label="y")
    assert {value for row in generated.rows() for value in row["y"]} == {b"a", b"b", b"NA", b" "}
    assert warnings() == [
        "label 'y': 'NA' (30 rows), ' ' (20 rows) is a class like any other; if it means that there is no value, "
        """data.csv.null_values: ["NA", " "] says so for CSV, and an empty value for other formats"""
    ]


def test_the_way_out_makes_them_missing(generate: Generate, folder: Folder, warnings: Callable[[], list[str]]) -> None:
    root = folder(csv(*FEW, *["7,NA"] * 30))
    generated = generate(root, label="y", options='{"null_values": ["NA"]}')
    assert {value for row in generated.rows() for value in row["y"] or []} == {b"a", b"b"}
    assert warnings() == ["30 of 90 rows have no value of the label 'y'"]


def test_numbers_beside_them_are_classes_too(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]]
) -> None:
    rows = [f"{row},{row}.5" if row % 10 else f"{row},?" for row in range(500)]  # too many values to keep
    generate(folder(csv(*rows)), label="y")
    (line,) = warnings()
    assert line.startswith("label 'y': '?' (50 rows) is a class like any other, and so are the numbers beside it; if")


def test_of_parquet_too(generate: Generate, folder: Folder, warnings: Callable[[], list[str]]) -> None:
    root = folder({})
    pq.write_table(pa.table({"y": ["null", "a", "b"] * 30, "x": range(90)}), root / "a.parquet")
    generate(root, label="y", source="parquet")
    assert ["'null' (30 rows) is a class" in line for line in warnings()] == [True]


@pytest.mark.parametrize("value", ["c", "0", "nanny", "-"])
def test_other_values_are_not(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]], value: str
) -> None:
    generate(folder(csv(*FEW, *(f"{row},{value}" for row in range(30)))), label="y")
    assert not warnings()

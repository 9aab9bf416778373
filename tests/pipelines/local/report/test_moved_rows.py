"""What moved rows to other splits since the run before."""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.components.example_gen import executor
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.record import RunRecord, TaskRecord
from penstock.pipelines.local.report import moved_rows, warnings

BEFORE = {
    "splits": {"train": 2, "eval": 1}, "by": "content", "partition_feature": "", "seed": 0, "stratify": "",
}  # fmt: skip
MOVED = (
    "a row's split is the hash of what it holds, so rows of one split are in another now; rows keep their split with "
    "splits: {by: row}, which asks for their place alone"
)
TYPES = {"amount": "int64", "name": "bytes", "y": "int64"}


def run(root: Path, number: int, division: dict[str, Any] | None, types: dict[str, str] | None) -> RunRecord:
    """Writes the record of a run whose ExampleGen wrote this metadata."""
    folder = root / f"flights-{number}"
    examples = folder / "csv-example-gen" / "examples"
    examples.mkdir(parents=True)
    metadata = {} if division is None else {"division": json.dumps(division)}
    metadata |= {} if types is None else {"column_types": json.dumps(types)}
    key, outputs = Key("csv_example_gen", "", "", {}, {}), {"examples": {"uri": str(examples), "metadata": metadata}}
    task = TaskRecord("csv-example-gen", "done", key=key, outputs=outputs)  # type: ignore[arg-type]
    record = RunRecord("flights", folder, {}, "done", tasks=[task])
    record.write()
    return record


def sentences(
    root: Path, division: dict[str, Any], types: dict[str, str], before: dict[str, Any] = BEFORE
) -> list[str]:
    run(root, 1, before, TYPES)
    return [sentence for _, sentence in moved_rows.warnings(run(root, 2, division, types))]


@pytest.mark.parametrize(
    ("division", "types", "expected"),
    [
        ({}, {}, []),
        (
            {"splits": {"eval": 1, "train": 2}},
            {},
            [
                "splits.hash_buckets are {eval: 1, train: 2}, and were {train: 2, eval: 1} in flights-1: rows of one "
                "split are in another now; their order counts, as in TFX, and the earlier one keeps the rows in place"
            ],
        ),
        (
            {"splits": {"train": 3, "eval": 1}},
            {},
            [
                "splits.hash_buckets are {train: 3, eval: 1}, and were {train: 2, eval: 1} in flights-1: rows of one "
                "split are in another now"
            ],
        ),
        (
            {"by": "row"},
            {"amount": "float"},
            [
                "the rows are divided {by: row}, and were {by: content} in flights-1: rows of one split are in "
                "another now, so metrics are not those of the same rows"
            ],
        ),
        ({}, {"y": ""}, [f"since flights-1, column 'y' is empty and was int64: {MOVED}"]),
        (
            {},
            {"amount": "float"},
            [f"since flights-1, column 'amount' is float and was int64: {MOVED}"],
        ),
        (
            {},
            {"new": "bytes", "name": None},
            [f"since flights-1, column 'name' is gone, column 'new' is new: {MOVED}"],
        ),
    ],
)
def test_what_moves_rows_is_told(
    tmp_path: Path, division: dict[str, Any], types: dict[str, Any], expected: list[str]
) -> None:
    now = {name: kind for name, kind in (TYPES | types).items() if kind is not None}
    assert sentences(tmp_path, BEFORE | division, now) == expected


@pytest.mark.parametrize(
    ("method", "column", "told"),
    [
        ({"by": "row"}, "amount", False),
        ({"by": "random"}, "amount", False),
        ({"by": "random", "stratify": "y"}, "amount", False),
        ({"by": "random", "stratify": "y"}, "y", True),
        ({"partition_feature": "name"}, "amount", False),
        ({"partition_feature": "name"}, "name", True),
    ],
)
def test_only_what_decides_a_split_moves_rows(tmp_path: Path, method: dict[str, str], column: str, told: bool) -> None:
    assert bool(sentences(tmp_path, BEFORE | method, TYPES | {column: "float"}, BEFORE | method)) is told


def test_the_newest_run_that_tells_is_compared_with(tmp_path: Path) -> None:
    run(tmp_path, 1, BEFORE | {"by": "row"}, TYPES)
    run(tmp_path, 2, BEFORE, TYPES)
    run(tmp_path, 3, None, None)  # of an earlier version
    run(tmp_path, 5, BEFORE | {"by": "random"}, TYPES)
    now = run(tmp_path, 4, BEFORE | {"splits": {"eval": 1, "train": 2}}, TYPES)
    assert ["in flights-2" in line for line in warnings.lines(now)] == [True]


def test_what_example_gen_writes_is_compared(tmp_path: Path) -> None:
    """One number that is no integer, in data of which the run before read the rest."""
    metadata = []
    for number, last in enumerate(("7", "1.5")):
        data = tmp_path / f"{number}.csv"
        data.write_text("x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(60)) + f"{last},1\n")
        splits = '{"splits": [{"name": "single_split", "pattern": "*"}]}'
        result = executor.run(
            examples=str(tmp_path / f"examples-{number}"), input_base=str(data), resolved_input=splits, engine="local:1"
        )
        metadata.append(result.metadata["examples"])
    before, now = (
        run(tmp_path, number, *(json.loads(str(one[key])) for key in ("division", "column_types")))
        for number, one in enumerate(metadata)
    )
    assert not list(moved_rows.warnings(before))
    assert list(moved_rows.warnings(now)) == [
        ("csv-example-gen", f"since flights-0, column 'x' is float and was int64: {MOVED}")
    ]


def test_damaged_metadata_says_nothing(tmp_path: Path) -> None:
    run(tmp_path, 1, BEFORE, TYPES)
    damaged = run(tmp_path, 2, {"splits": 7}, TYPES)
    assert not list(moved_rows.warnings(damaged))

"""`penstock validate` reads the first rows of a source, where that costs nothing."""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.core.examples import records
from penstock.pipelines.cli import main

Validate = Callable[..., str]
INTEGERS, TEXTS = pa.large_list(pa.int64()), pa.large_list(pa.large_binary())
UNSEEN = "data: not looked at, for a run alone reads it, or `penstock validate --data` looks at some rows\n"
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "own_source"


@pytest.fixture
def validate(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Validate:
    """Returns a function that validates the example, with its module or configuration changed, and what is told."""
    runs = iter(range(10))

    def run(code: int, *assignments: str, module: tuple[str, str] = ("", "")) -> str:
        folder = tmp_path / str(next(runs))
        shutil.copytree(EXAMPLE, folder)
        name = f"source_{folder.parent.name}_{folder.name}"  # which no other test has imported
        (folder / f"{name}.py").write_text((folder / "my_source.py").read_text().replace(*module))
        monkeypatch.chdir(folder)
        values = [f"data.custom.class={name}.Trips", *assignments]
        assert main.main(["validate", *(word for value in values for word in ("--set", value))]) == code
        return capsys.readouterr().err

    return run


def test_the_first_rows_are_looked_at(validate: Validate) -> None:
    assert validate(0) == ""
    assert "label: the data has no column 'paymen'; did you mean 'payment'?" in validate(2, "label=paymen")
    constant = ("line[39:] for line in lines", '"Cash" for line in lines')
    told = validate(0, module=constant)
    assert told.startswith("warning: the label 'payment' is 'Cash' in every row of the first 827; if it is so in all")
    assert "gives the label" not in told
    leak = ('"fare": [', '"code": [1.0 if "Cash" in line else 0.0 for line in lines], "fare": [')
    assert "column code alone gives the label payment away" in validate(0, module=leak)


def test_what_a_run_would_fail_with_is_told(validate: Validate) -> None:
    assert "Trips: read raised ValueError: could not convert string to float" in validate(
        2, module=("[31:38]", "[31:43]")
    )
    assert "resolve raised KeyError: 'folders'" in validate(
        2, module=('asked.options["folder"]', 'asked.options["folders"]')
    )
    assert "data: it holds no row: expected at least one" in validate(2, module=("cab-*", "bus-*"))


def test_what_may_cost_is_not_looked_at(validate: Validate) -> None:
    assert validate(0, module=("return True", "return False")) == "data: not looked at, for a run alone reads it\n"
    query = 'data={bigquery: {query: "SELECT 1 AS payment"}}'
    assert validate(0, query) == UNSEEN


def test_tfrecord_files_are_looked_at_with_data_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = {"x": [[row % 7] for row in range(99)], "payment": [[b"Cash" if row % 2 else b"Card"] for row in range(99)]}
    columns = pa.RecordBatch.from_pydict(rows, pa.schema([("x", INTEGERS), ("payment", TEXTS)]))
    records.write(tmp_path / "rows.tfrecord.gz", records.encode(columns))
    Path("pipeline.yaml").write_text("data: {path: rows.tfrecord.gz}\nlabel: payment\n")
    assert main.main(["validate"]) == 0
    assert capsys.readouterr().err.startswith("data.path: not looked at, for it has TFRecord files: `penstock validate")
    assert main.main(["validate", "--data"]) == 0
    assert "data.path: 99 rows looked at; columns: payment (text), x (integers)\n" in capsys.readouterr().err


def test_a_small_database_that_is_a_file_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "trips.db")) as database, database:
        database.execute("CREATE TABLE trips (fare, payment)")
        database.executemany(
            "INSERT INTO trips VALUES (?, ?)", [(row % 7, ["Cash", "Card"][row % 2]) for row in range(99)]
        )
        database.execute("CREATE TABLE vacant (fare, payment)")
    monkeypatch.chdir(tmp_path)

    def validate(code: int, table: str, file: str = "trips.db", label: str = "payment") -> str:
        data = f'data: {{sql: {{url: "sqlite:///{file}", table: {table}}}}}\n'
        Path("pipeline.yaml").write_text(f"{data}label: {label}\n")
        assert main.main(["validate"]) == code
        return capsys.readouterr().err

    assert validate(0, "trips") == ""
    assert "label 'paymen' does not exist; did you mean 'payment'?" in validate(2, "trips", label="paymen")
    assert "there is no table 'trip'; did you mean 'trips'?" in validate(2, "trip")
    assert "table vacant: there is no row: expected at least one" in validate(2, "vacant")
    assert "elsewhere.db is not on this machine" in validate(0, "trips", "elsewhere.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipeline.yaml", "trips.db"]

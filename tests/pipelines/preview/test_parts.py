"""`penstock validate` looks at each of the places that splits are, and tells in what their columns differ."""

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.core.services import retries
from penstock.pipelines.cli import main

Validate = Callable[..., str]


@pytest.fixture
def validate(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Validate:
    """Returns a function that validates splits, of which `trips.db` is one, and gives what is told."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(retries, "PAUSE", 0.0)
    with contextlib.closing(sqlite3.connect("trips.db")) as database, database:
        database.execute("CREATE TABLE trips (fare REAL, city TEXT, paid INTEGER)")
        rows = [(row / 2, ["Bonn", " Bonn"][row % 9 == 0], row % 2) for row in range(90)]
        database.executemany("INSERT INTO trips VALUES (?, ?, ?)", rows)

    def run(eval: str, code: int = 0, *words: str, label: str = "paid", **parts: Any) -> str:
        Path("eval.csv").write_text(eval)
        train = {"sql": {"url": "sqlite:///trips.db", "table": "trips"}}
        splits = {"train": train, "eval": {"path": "eval.csv"}, **parts}
        Path("pipeline.yaml").write_text(json.dumps({"data": {"splits": splits}, "label": label}))
        assert main.main(["validate", *words]) == code
        return capsys.readouterr().err

    return run


def test_parts_that_fit_together(validate: Validate) -> None:
    proposed = "column city has values in several spellings, such as 'Bonn', ' Bonn': cleaning.rules may have "
    told = validate("fare,city,paid\n1.5,Rome,0\n2.5,Bonn,1\n")
    assert told == f"{proposed}{{rule: text, columns: [city], spaces: collapse}}\n"
    told = validate("fare,city,paid\n1.5,Rome,0\n2.5,Bonn,1\n", 0, "--data")
    columns = "columns: fare (numbers with decimals), city (text), paid (integers)\n"
    assert f"data.splits.train: 90 rows looked at; {columns}data.splits.eval: 2 rows looked at; {columns}" in told


def test_columns_that_differ_are_told(validate: Validate) -> None:
    told = validate("fares,city,paid,id\n1.5,3,0,1\n2.5,4,1,1\n")
    assert "data.splits.eval: it has no column 'fare' (is it 'fares' here?), which data.splits.train has\n" in told
    assert "data.splits.eval: it has a column 'fares' that data.splits.train lacks; so it is with id\n" in told
    assert (
        "data.splits.eval: column 'city' is integers here and text in data.splits.train: a run takes one type in all "
        "splits" in told
    )


def test_what_a_run_would_fail_with_names_the_split(validate: Validate) -> None:
    rows = "fare,city,paid\n1.5,Rome,0\n2.5,Bonn,1\n"
    told = validate("fare,city,paids\n1.5,Rome,0\n", 2)
    assert "label: data.splits.eval has no column 'paid'; did you mean 'paids'?" in told
    told = validate(rows, 2, test={"path": "test*.csv"})
    assert "data.splits.test: no file matches" in told
    table = {"sql": {"url": "sqlite:///trips.db", "table": "trip"}}
    assert "data.splits.test: table trip: there is no table 'trip'; did you mean 'trips'?" in validate(
        rows, 2, test=table
    )


def test_a_part_on_a_server_is_asked_for_with_data_alone(validate: Validate) -> None:
    rows = "fare,city,paid\n1.5,Rome,0\n2.5,Bonn,1\n"
    server = {"sql": {"url": "postgresql://127.0.0.1:1/trips", "table": "trips"}}
    told = validate(rows, test=server)
    asking = "`penstock validate --data` looks at some rows"
    assert f"data.splits.test: not looked at, for a run alone reads it, or {asking}\n" in told
    assert validate(rows, 2, "--data", test=server).startswith("penstock: data.splits.test: ")

"""Dates that the model does not read: it would take them for missing, so the rows are told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.components.scoring import frames
from penstock.core.errors import DataError
from penstock.core.examples import records
from penstock.trainer.plan import date_cells
from penstock.trainer.plan.date_cells import DateCells
from tests.components.scoring.conftest import Scored

Score = Callable[..., Scored]
ROWS = {"size": [1.0, 2.0, 3.0, 4.0], "code": ["31/01/2013", "2013-01-31", "open", "30/02/2013 8:05"]}


LISTS = {"size": pa.large_list(pa.float32()), "code": pa.large_list(pa.large_binary())}


@pytest.fixture
def dated(regression: Path, tmp_path: Path) -> Path:
    """Ten times the size; the code is a date, and in a few rows of the training data it was open."""
    folder = shutil.copytree(regression, tmp_path / "dated")
    date_cells.write(folder, {"code": DateCells("%d/%m/%Y", ("open",))})
    return folder


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "tfrecord"])
def test_rows_with_them_are_rejected(score: Score, dated: Path, tmp_path: Path, kind: str) -> None:
    path, frame = tmp_path / f"new.{kind}", pd.DataFrame(ROWS)
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        lists = {name: pa.array([[value] for value in frame[name]], kind) for name, kind in LISTS.items()}
        records.write(path, records.encode(pa.RecordBatch.from_pydict(lists)))
    sentence = "column 'code': expected a date such as 31/01/2013, found"
    place = {"csv": "line 3", "jsonl": "line 2", "parquet": "row 2", "tfrecord": "record 2"}[kind]
    with pytest.raises(DataError, match=f"new.{kind}, {place}: {sentence} '2013-01-31'; --rejects FILE leaves such"):
        score(dated, path)
    scored = score(dated, path, form="jsonl", rejects=tmp_path / "rejects.csv")
    assert [(row["code"], row["prediction"]) for row in scored.rows()] == [("31/01/2013", 10), ("open", 30)]
    rejects = pd.read_csv(tmp_path / "rejects.csv")
    assert rejects["reason"].tolist() == [f"{sentence} '2013-01-31'", f"{sentence} '30/02/2013 8:05'"]


def test_a_row_of_a_data_frame_with_one_is_told(dated: Path) -> None:
    frame = pd.DataFrame(ROWS)
    with pytest.raises(DataError, match=r"row 1 of the data frame: column 'code': expected a date such as 31/01/2013"):
        frames.predictions(dated, frame.assign(count=0))
    read = frame.iloc[[0, 2]].assign(count=0)
    assert frames.predictions(dated, read)["prediction"].to_dict() == {0: 10, 2: 30}


def test_whole_numbers_may_be_dates(score: Score, regression: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(regression, tmp_path / "dated")
    date_cells.write(folder, {"count": DateCells("%Y%m%d")})
    rows: list[dict[str, Any]] = [{"size": 1, "code": "a", "count": count} for count in (20130131, None, 20130231)]
    (tmp_path / "new.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(DataError, match=r"line 3: column 'count': expected a date such as 20130131, found '20130231'"):
        score(folder, tmp_path / "new.jsonl")
    table = pa.table({"size": [1.0, 2.0], "code": ["a", "b"], "count": [None, 20130131]})
    pq.write_table(table, tmp_path / "new.parquet")
    assert score(folder, tmp_path / "new.parquet").summary.rows == 2

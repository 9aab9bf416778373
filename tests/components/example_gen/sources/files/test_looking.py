"""`penstock validate --data` looks at the first file of a bucket: of text its beginning, of others what it takes."""

import gzip
import io
import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.components.example_gen.sampling import beginnings
from tests.servers import ports
from tests.servers.object_stores import ObjectStore

Look = Callable[..., str]
pytestmark = pytest.mark.parametrize("running_store", ["s3"], indirect=True)
COLUMNS = "columns: x (integers), fare (numbers with decimals), city (text)"
HEADER = "x,fare,city\n"


def _csv(rows: int) -> str:
    return HEADER + "".join(f'{row % 2},{row / 2},"Bonn\nam Rhein"\n' for row in range(rows))


def test_files_of_text(object_store: ObjectStore, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last row is whole, whatever ends of lines cells hold."""
    monkeypatch.setattr(beginnings, "_CHARACTERS", len(_csv(20)) + 9)
    rows = "".join(json.dumps({"x": row % 2, "fare": row / 2, "city": "Bonn"}) + "\n" for row in range(20))
    files = {"a.csv": _csv(500), "b.csv": "no,header", "c.csv.gz": gzip.compress(_csv(500).encode()), "d.jsonl": rows}
    folder = object_store.write(files, "text")
    for name in ("a.csv", "c.csv.gz"):
        assert f"data.path: 20 rows looked at; {COLUMNS}\n" in look({"path": f"{folder}/{name}"})
    assert f"data.path: 20 rows looked at; {COLUMNS}\n" in look({"path": [f"{folder}/a.csv", f"{folder}/[b]*"]})
    assert f"data.path: 12 rows looked at; {COLUMNS}\n" in look({"path": f"{folder}/d.jsonl"})
    told = look({"path": f"{folder}/a.csv"}, label="fares", code=2)
    assert "label: the data has no column 'fares'; did you mean 'fare'?" in told
    object_store.write({"ragged.csv": "x,y\n1\n"}, "text")
    told = look({"path": f"{folder}/ragged.csv"}, code=2)
    assert f"{folder}/ragged.csv, line 2: expected 2 cells as in the header, found 1" in told


def test_parquet_and_what_is_not_there(object_store: ObjectStore, look: Look) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"x": [0, 1] * 50, "fare": [row / 2 for row in range(100)]}), stream)
    folder = object_store.write({"day-1/a.parquet": stream.getvalue(), "day-2/a.parquet": b"no Parquet"}, "tables")
    told = look({"path": f"{folder}/day-1/*.parquet"})
    assert "data.path: 100 rows looked at; columns: x (integers), fare (numbers with decimals)\n" in told
    assert "expected a whole Parquet file" in look({"path": f"{folder}/day-{{SPAN}}/*.parquet"}, code=2)
    assert "tables/c.csv: there is no such file or folder" in look({"path": f"{folder}/c.csv"}, code=2)


def test_a_store_that_is_away_is_one_sentence(
    object_store: ObjectStore, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{ports.reserve()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    told = look({"path": object_store.uri("a.csv")}, code=2)
    assert told.count("\n") == 1

"""Parquet to examples."""

import datetime
import decimal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from penstock.core.errors import DataError

Generate = Callable[..., Any]
ALL = '{"split_config": {"splits": [{"name": "all", "hash_buckets": 1}]}}'
DAY = datetime.date(2013, 1, 31)


def test_every_kind_of_column(generate: Generate, tmp_path: Path) -> None:
    table = pa.table(
        {
            "int8": pa.array([0, None, -3], pa.int8()),
            "bool": pa.array([False, True, None]),
            "double": pa.array([0.0, None, 1e300]),
            "decimal": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-2.00")]),
            "whole": pa.array([decimal.Decimal(2**53 + 1), None, decimal.Decimal(-7)], pa.decimal128(18, 0)),
            "text": pa.array(["é", "", None]),
            "category": pa.array(["b", None, "b"]).dictionary_encode(),
            "bytes": pa.array([b"\xff", None, b""]),
            "day": pa.array([DAY, None, DAY]),
            "time": pa.array([datetime.datetime(2013, 1, 31, 12), None, None], pa.timestamp("s")),
            "ints": pa.array([[1, 2], None, []], pa.list_(pa.int32())),
            "pair": pa.array([[1.5, 2.5], [0.5, 0.0], [0.0, 1.0]], pa.list_(pa.float32(), 2)),
            "words": pa.array([["a", "b"], [], None], pa.large_list(pa.string())),
            "nothing": pa.nulls(3),
        }
    )
    folder = tmp_path / "data"
    folder.mkdir()
    pq.write_table(table, folder / "a.parquet")
    rows = generate(folder, source="parquet", output_config=ALL).rows()
    infinity = float("inf")
    assert {name: [row[name] for row in rows] for name in table.column_names} == {
        "int8": [[0], None, [-3]],
        "bool": [[0], [1], None],
        "double": [[0.0], None, [infinity]],
        "decimal": [[1.25], None, [-2.0]],
        "whole": [[2**53 + 1], None, [-7]],
        "text": [["é".encode()], [b""], None],
        "category": [[b"b"], None, [b"b"]],
        "bytes": [[b"\xff"], None, [b""]],
        "day": [[b"2013-01-31"], None, [b"2013-01-31"]],
        "time": [[b"2013-01-31 12:00:00.000"], None, None],
        "ints": [[1, 2], None, []],
        "pair": [[1.5, 2.5], [0.5, 0.0], [0.0, 1.0]],
        "words": [[b"a", b"b"], [], None],
        "nothing": [None, None, None],
    }


@pytest.mark.slow
def test_taxi_trips_in_row_groups(generate: Generate, taxi_csv: Path, tmp_path: Path) -> None:
    table = pyarrow.csv.read_csv(taxi_csv)
    folder = tmp_path / "data"
    folder.mkdir()
    pq.write_table(table, folder / "a.parquet", row_group_size=2000, compression="none", use_dictionary=False)
    one = generate(folder, source="parquet", label="tips")
    assert len(one.rows()) == 15002
    assert len(one.examples.files("train")) > 1
    assert generate(folder, source="parquet", engine="local:2").content() == one.content()
    fares = sorted(row["fare"][0] for row in one.rows() if row["fare"])
    assert fares == pytest.approx(sorted(table["fare"].drop_null().to_pylist()), rel=1e-6)


def fails(generate: Generate, files: dict[str, pa.Table | bytes], tmp_path: Path, message: str, **more: Any) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            pq.write_table(content, folder / name)
    with pytest.raises(DataError, match=message) as caught:
        generate(folder, source="parquet", **more)
    assert "\n" not in str(caught.value)


TABLE = pa.table({"x": [1, 2], "y": ["a", "b"]})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.pq": b""}, "a.pq: the file is empty"),
        ({"a.pq": b"x,y\n1,2\n"}, "a.pq: expected a whole Parquet file"),
        ({"a.pq": TABLE.slice(0, 0)}, "a.pq: there are columns and no row"),
        ({"a.pq": TABLE, "b.pq": TABLE.select(["x"])}, "b.pq: .* but 'y' is of bytes there and missing here"),
        ({"a.pq": TABLE, "b.pq": pa.table({"x": [1.5], "y": ["a"]})}, "'x' is of integers there and of floats here"),
        ({"a.pq": pa.table({"s": [[[1]]]})}, "a.pq: column 's': expected numbers, .* found list<element: list"),
        ({"a.pq": pa.table({"s": [[[1]]]})}, "a.pq: column 's': .* found list<"),
        ({"a.pq": pa.table({"n": pa.array([2**63], pa.uint64())})}, "column 'n': expected integers of 64 bits"),
        ({"a.pq": pa.table({"n": [[1, None]]})}, "column 'n': expected no null within a list"),
        ({"a.pq": pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"])}, "found 'x' twice"),
    ],
)
def test_bad_files(generate: Generate, tmp_path: Path, files: dict[str, pa.Table | bytes], message: str) -> None:
    fails(generate, files, tmp_path, message)


def test_damaged_data(generate: Generate, tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"x": [f"{row:030d}" for row in range(5000)]}), whole, compression="gzip")
    content = bytearray(whole.read_bytes())
    content[100:4000] = bytes(3900)
    fails(generate, {"a.pq": bytes(content)}, tmp_path, "a.pq: the Parquet data is damaged")


def test_a_label_that_is_not_there(generate: Generate, tmp_path: Path) -> None:
    fails(generate, {"a.pq": TABLE}, tmp_path, "label 'Y' does not exist; did you mean 'y'", label="Y")

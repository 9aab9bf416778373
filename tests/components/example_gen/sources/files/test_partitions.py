"""Folders named key=value: columns of the files in them, and spans."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import dataset, orc

from penstock.components.example_gen.inputs import spans
from penstock.core.errors import ConfigError, DataError
from tests.components.example_gen.conftest import Generated

Folder = Callable[[dict[str, str | bytes]], Path]
ALL = '{"split_config": {"splits": [{"name": "all", "hash_buckets": 1}]}}'
EVERY = '{"splits": [{"name": "all", "pattern": "**/*"}]}'
HIVE = '{"partitions": "hive"}'


def write(path: Path, name: str, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    if name == "csv":
        path.write_text("".join(f"{line}\n" for line in ["x", *(str(row["x"]) for row in rows)]))
    elif name == "json":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif name == "avro":
        file = io.BytesIO()
        fastavro.writer(file, {"type": "record", "name": "R", "fields": [{"name": "x", "type": "long"}]}, rows)
        path.write_bytes(file.getvalue())
    else:
        (orc if name == "orc" else pq).write_table(table, str(path))


@pytest.mark.parametrize("name", ["csv", "parquet", "orc", "json", "avro"])
def test_partitions_are_columns(name: str, tmp_path: Path, generate: Callable[..., Generated]) -> None:
    folders = ["year=2025/city=S%C3%A3o%20Paulo", "year=2026/city=__HIVE_DEFAULT_PARTITION__", "year=2026/city=Ulm"]
    for number, place in enumerate(folders):
        write(tmp_path / "data" / place / f"part.{name}", name, [{"x": number}])
    (tmp_path / "data/_SUCCESS").touch()
    found = generate(tmp_path / "data", EVERY, source=name, options=HIVE, output_config=ALL)
    cities = [["São Paulo".encode()], None, [b"Ulm"]]
    rows = sorted(found.rows("all"), key=lambda row: row["x"])
    assert [row["year"] for row in rows] == [[2025], [2026], [2026]]
    assert [row["city"] or None for row in rows] == cities
    only = json.dumps({"partitions": "hive", "columns": ["x", "year"]})
    chosen = generate(tmp_path / "data", EVERY, source=name, options=only, output_config=ALL, label="year").rows("all")
    assert {*chosen[0]} == {"x", "year"}
    with pytest.raises(ConfigError, match="expected one of the files' own beside the partitions, received 'year'"):
        generate(tmp_path / "data", EVERY, source=name, options=only.replace('"x", ', ""))


def test_partitions_are_those_of_arrows_datasets(tmp_path: Path, generate: Callable[..., Generated]) -> None:
    table = pa.table({"x": range(60), "month": [number % 12 for number in range(60)], "who": ["ä/=b", None, "c"] * 20})
    partitioning = dataset.partitioning(pa.schema({"who": pa.string(), "month": pa.int64()}), flavor="hive")
    dataset.write_dataset(table, tmp_path / "data", format="parquet", partitioning=partitioning)
    found = generate(tmp_path / "data", EVERY, source="parquet", options=HIVE, output_config=ALL).rows("all")
    ours = {row["x"][0]: (row["month"], row["who"]) for row in found}
    assert ours == {
        row["x"]: ([row["month"]], None if row["who"] is None else [row["who"].encode()]) for row in table.to_pylist()
    }


def test_dates_of_partitions_are_spans_and_columns(tmp_path: Path, generate: Callable[..., Generated]) -> None:
    for day in (1, 2, 3):
        write(tmp_path / f"date=2026-01-0{day}/hour=00/a.parquet", "parquet", [{"x": day}])
        write(tmp_path / f"date=2026-01-0{day}/hour=01/a.parquet", "parquet", [{"x": 10 * day}])
    pattern = '{"splits": [{"name": "all", "pattern": "date={YYYY}-{MM}-{DD}/hour=*/*.parquet"}]}'
    two = '{"rolling_range": {"num_spans": 2}}'
    resolved = spans.resolve(input_base=str(tmp_path), input_config=pattern, range_config=two)
    assert spans.in_words(resolved) == "2026-01-02, 2026-01-03"
    found = generate(tmp_path, pattern, two, source="parquet", options=HIVE, output_config=ALL).rows("all")
    assert sorted((row["x"][0], row["date"], row["hour"]) for row in found) == [
        (2, [b"2026-01-02"], [0]),
        (3, [b"2026-01-03"], [0]),
        (20, [b"2026-01-02"], [1]),
        (30, [b"2026-01-03"], [1]),
    ]
    numbered = '{"splits": [{"name": "all", "pattern": "day={SPAN}/*.parquet"}]}'
    for day in (9, 10):
        write(tmp_path / f"day={day}/a.parquet", "parquet", [{"x": day}])
    found = generate(tmp_path, numbered, source="parquet", options=HIVE, output_config=ALL).rows("all")
    assert found == [{"x": [10], "day": [10]}]


def test_the_folder_of_the_data_may_be_a_partition(tmp_path: Path, generate: Callable[..., Generated]) -> None:
    write(tmp_path / "year=2026" / "a.csv", "csv", [{"x": 1}])
    found = generate(tmp_path / "year=2026", source="csv", options=HIVE, output_config=ALL).rows("all")
    assert found == [{"x": [1], "year": [2026]}]


@pytest.mark.parametrize("name", ["csv", "parquet", "json"])
def test_partitions_that_do_not_fit(name: str, tmp_path: Path, generate: Callable[..., Generated]) -> None:
    write(tmp_path / "a" / "year=2025" / f"a.{name}", name, [{"x": 1}])
    write(tmp_path / "a" / f"b.{name}", name, [{"x": 1}])
    with pytest.raises(DataError, match=r"expected the partitions of .*, none, found year=…|year=…, found none"):
        generate(tmp_path / "a", EVERY, source=name, options=HIVE)
    write(tmp_path / "b" / "x=2025" / f"a.{name}", name, [{"x": 1}])
    with pytest.raises(DataError, match="expected 'x' in the folder's name alone, found a column of that name too"):
        generate(tmp_path / "b", EVERY, source=name, options=HIVE)
    with pytest.raises(ConfigError, match="partitions: expected hive, received 'spark'"):
        generate(tmp_path / "b", EVERY, source=name, options='{"partitions": "spark"}')


def test_a_split_of_several_patterns(folder: Folder, generate: Callable[..., Generated]) -> None:
    root = folder({f"{year}/a.csv": f"x\n{year}\n" for year in (2023, 2024, 2025, 2026)})
    old = [{"name": "old", "pattern": f"{year}/*.csv"} for year in (2023, 2025)]
    new = [{"name": "new", "pattern": "2026/a.csv"}]
    found = generate(root, json.dumps({"splits": old + new}))
    assert [row["x"] for row in found.rows("old")] == [[2023], [2025]]
    assert [row["x"] for row in found.rows("new")] == [[2026]]
    with pytest.raises(ConfigError, match="expected in one split, matches those of 'old' and 'new'"):
        generate(root, json.dumps({"splits": [*old, *new, {"name": "new", "pattern": "2025/*"}]}))

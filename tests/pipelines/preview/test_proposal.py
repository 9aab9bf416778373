"""What `penstock validate` proposes where a file is written otherwise than the configuration says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.pipelines.cli import main

ROWS = [("Köln" if number % 3 else "Ulm", f"{number % 50},5", number % 7, "ab"[number % 2]) for number in range(60)]
TEXT = "city;price;n;label\n" + "".join(";".join(map(str, row)) + "\n" for row in ROWS)
NO_HEADER = TEXT.partition("\n")[2]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def validate(data: dict[str, Any]) -> int:
    Path("pipeline.yaml").write_text(yaml.safe_dump({"data": {"path": "data.csv", **data}, "label": "label"}))
    return main.main(["validate"])


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (TEXT.encode(), {"delimiter": ";", "decimal_point": ","}),
        (TEXT.encode("utf-16"), {"delimiter": ";", "encoding": "utf-16", "decimal_point": ","}),
        (TEXT.replace(";", "\t").encode("cp1252"), {"delimiter": "\t", "encoding": "cp1252", "decimal_point": ","}),
        (f"sep=;\r\n{TEXT}".encode("utf-8-sig"), {"delimiter": ";", "decimal_point": ","}),
        (TEXT.replace(",", ".").replace(";", "|").encode(), {"delimiter": "|"}),
    ],
)
def test_what_is_proposed_is_valid(content: bytes, options: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.csv").write_bytes(content)
    assert validate({}) == 2
    told = capsys.readouterr().err
    proposed = yaml.safe_load(told.splitlines()[-1])
    assert proposed == {"data": {"csv": options}}
    assert validate(proposed["data"]) == 0
    assert capsys.readouterr().out == "pipeline.yaml: valid\n"


def test_files_without_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.csv").write_text(NO_HEADER)
    assert validate({"csv": {"delimiter": ";", "decimal_point": ","}}) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    names = ["column_1", "column_2", "column_3", "column_4"]
    assert yaml.safe_load(told) == {"data": {"csv": {"column_names": names}}}
    assert "# the first line looks like a row: name the columns" in told


def test_a_file_of_another_format(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.csv").write_text("".join(json.dumps({"x": row[2], "label": row[3]}) + "\n" for row in ROWS))
    assert validate({}) == 2
    assert yaml.safe_load(capsys.readouterr().err.splitlines()[-1]) == {"data": {"format": "json"}}
    assert validate({"format": "json"}) == 0


def test_nothing_is_proposed_where_the_file_is_as_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.csv").write_text("x,label\n1,a\n2\n")
    assert validate({}) == 2
    assert not re.search("looks as if", capsys.readouterr().err)


def test_partitioned_json_is_looked_at(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for year in (2025, 2026):
        folder = project / "trips" / f"year={year}"
        folder.mkdir(parents=True)
        rows = [{"x": {"y": row[2]}, "label": row[3], "at": f"{year}"} for row in ROWS]
        (folder / "part.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert validate({"path": "trips", "format": "json"}) == 2
    assert "KEY=VALUE: data.partitions: hive reads the files in them" in capsys.readouterr().err
    assert validate({"path": "trips", "partitions": "hive"}) == 0
    assert validate({"path": "trips", "partitions": "hive", "columns": ["x", "year"]}) == 2
    assert "label: the data has no column 'label'; the columns are x.y, year" in capsys.readouterr().err
    assert validate({"splits": {"train": ["year=2025/*.jsonl", "year=2026/*.jsonl"]}, "path": "trips"}) == 0
    assert validate({"path": "trips/year=2025/part.jsonl", "payload_format": "FORMAT_TF_EXAMPLE"}) == 2

"""`penstock init`: a project for a data file, whose pipeline.yaml is right as it is, and one with an example."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.pipelines.cli import main

Init = Callable[..., str]
ROWS = "".join(f"{row % 13},{'ab'[row % 2]}\n" for row in range(60))
GERMAN = "Größe;Preis;Datum;Rabatt\n" + "".join(
    f"{('groß', 'klein')[row % 3 % 2]};{row % 40},5;{1 + row % 12:02}/{1 + row % 11:02}/2024;{'jn'[row % 2]}\n"
    for row in range(60)
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def init(place: Path, capsys: pytest.CaptureFixture[str]) -> Init:
    """Returns a function that calls `penstock init`, and returns what it tells: of a failure, on standard error."""

    def init(*words: str, code: int = 0) -> str:
        assert main.main(["init", *words]) == code
        told = capsys.readouterr()
        return told.err if code else told.out

    return init


def configured(folder: Path) -> dict[str, Any]:
    """Returns a configuration that is valid, as it was written."""
    assert main.main(["validate", str(folder)]) == 0
    values: dict[str, Any] = yaml.safe_load((folder / "pipeline.yaml").read_text(encoding="utf-8"))
    return values


@pytest.mark.parametrize(
    ("content", "encoding", "options"),
    [
        ("x,label\n" + ROWS, "utf-8", None),
        ("x,label\n" + ROWS, "utf-8-sig", None),
        (("x,label\n" + ROWS).replace(",", "\t").replace("\n", "\r\n"), "utf-16",
         {"delimiter": "\t", "encoding": "utf-16"}),
        ("x|label\n" + ROWS.replace(",", "|"), "utf-8", {"delimiter": "|"}),
        ("x,label\n" + ROWS.replace("3,", "NA,"), "utf-8", {"null_values": ["NA"]}),
        ("x;y,z;label\n" + ROWS.replace(",", ",5;1.5;"), "utf-8", {"delimiter": ";"}),  # and 1.5
        ("x;label\n" + ROWS.replace("0,", "1,").replace(",", ",250;"), "utf-8", {"delimiter": ";"}),  # 1,250
        ('"a,b",x,label\n' + "".join(f'"a;{row},b",{row % 7},{row % 2}\n' for row in range(60)), "utf-8", None),
        ("x,label\n" + ROWS + "é,a\n", "latin-1", {"encoding": "cp1252"}),
    ],
)  # fmt: skip
def test_how_a_file_is_written(
    init: Init, place: Path, content: str, encoding: str, options: dict[str, Any] | None
) -> None:
    (place / "data.csv").write_bytes(content.encode(encoding))
    told = init("new", "--data", "data.csv", "--label", "label")
    assert told.splitlines()[:2] == ["new/pipeline.yaml", "new/pipeline.schema.json"]
    assert told.endswith("\ncd new && penstock validate && penstock run\n")
    assert configured(place / "new")["data"] == {"path": "../data.csv"} | ({"csv": options} if options else {})


def test_a_german_table(init: Init, place: Path) -> None:
    """Semicolons, decimal commas, Latin-1, and dates of which no value tells which is the month."""
    (place / "verkauf.csv").write_bytes(GERMAN.encode("latin-1"))
    init("shop", "--data", "verkauf.csv", "--label", "Rabatt")
    values = configured(place / "shop")
    assert values["data"]["csv"] == {"delimiter": ";", "encoding": "cp1252", "decimal_point": ","}
    assert values["features"] == {"Datum": {"kind": "date", "format": "%m/%d/%Y"}}
    assert values["evaluation"]["slices"] == ["Größe"]
    assert values["evaluation"]["thresholds"]["auc"]["better_than_trivial"] == 0.05
    assert values["push"] == {"directory": "serving"}
    assert 'format: "%m/%d/%Y"} # or "%d/%m/%Y": no value tells which' in (place / "shop/pipeline.yaml").read_text()


@pytest.mark.parametrize(
    ("labels", "comment", "metric"),
    [
        (["yes", "no"], "# Predicts label (binary: no, yes) by the other columns; written after", "auc"),
        (["a", "b", "c"], "# Predicts label (multiclass: a, b, c)", "sparse_categorical_accuracy"),
        ([f"{row}.25" for row in range(60)], "# Predicts label (a number)", "rmse"),
    ],
)  # fmt: skip
def test_what_suits_the_label(init: Init, place: Path, labels: list[str], comment: str, metric: str) -> None:
    rows = [f"{row % 50}.5,{row + 1000},{labels[row % len(labels)]},{labels[row % len(labels)]}" for row in range(120)]
    (place / "data.csv").write_text("\n".join(["x,order,label,copy", *rows]) + "\n")
    init("new", "--data", "data.csv", "--label", "label")
    text = (place / "new/pipeline.yaml").read_text()
    assert comment in text
    assert re.search(
        r"\n# features:\n  # copy: {ignore: true} # if it is not known when the model is asked: alone, ", text
    )
    assert "# left out, as their values differ as those of keys do: order\n" in text
    assert list(configured(place / "new")["evaluation"]["thresholds"]) == [metric]


def test_a_folder_with_data(init: Init, place: Path) -> None:
    (place / "data.csv").write_text("x,label\n" + ROWS)
    told = init(".", code=2)
    assert told.splitlines() == [
        "penstock: data.csv: expected --label and the column that is to be predicted; there are",
        "  x      integers, 13 different: 0, 1, 2, …",
        "  label  text, 2 different: a, b",
    ]
    told = init(".", "--label", "lable", code=2)
    assert "--label: the data has no column 'lable'; did you mean 'label'? the columns are x, label" in told
    assert os.listdir(place) == ["data.csv"]
    assert init(".", "--label", "label").endswith("\npenstock validate && penstock run\n")
    assert configured(place)["data"] == {"path": "data.csv"}
    (place / "pipeline.yaml").write_text("mine\n")
    assert "pipeline.yaml exists already: nothing is overwritten" in init(".", "--label", "label", code=2)
    assert (place / "pipeline.yaml").read_text() == "mine\n"
    (place / "pipeline.yaml").unlink()
    (place / "other.csv").write_text("")
    assert ". holds several data files: expected --data and one of data.csv, other.csv" in init(".", code=2)


def test_an_empty_folder_gets_the_example(init: Init, place: Path) -> None:
    assert init(".").endswith("\npenstock run\n")
    assert sorted(os.listdir(place)) == ["README.md", "data", "pipeline.schema.json", "pipeline.yaml"]
    assert configured(place)["label"] == "species"
    assert init("birds").splitlines()[-1] == "cd birds && penstock run"
    assert configured(place / "birds")["label"] == "species"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["new", "--data", "none.csv"], "--data: none.csv does not exist"),
        (["new", "--data", "empty.csv", "--label", "x"], "empty.csv: the file is empty: expected a header and rows"),
        (["new", "--data", "gs://bucket/a.csv"], "--data gs://bucket/a.csv: expected a file on this machine"),
        (["new", "--data", "constant.csv", "--label", "x"], "the label 'x' is '1' in every row"),
        (["new", "--data", "book.xlsx", "--label", "x"], "book.xlsx: expected CSV text in utf-16"),
        (["new", "--data", "index.csv", "--label", "x"], "index.csv, line 1: expected a name for every column"),
        (["new", "--label", "x"], "new holds no CSV or Parquet file: expected --data and one"),
        (["other"], "other exists already and holds no CSV or Parquet file"),
        (["file", "--data", "constant.csv", "--label", "y"], "file is a file: expected the name of a folder"),
    ],
)
def test_mistakes_leave_nothing(init: Init, place: Path, words: list[str], sentence: str) -> None:
    (place / "empty.csv").write_text("")
    (place / "book.xlsx").write_bytes(b"PK\3\4\0" + bytes(range(256)) * 9 + b"\xd8")
    (place / "constant.csv").write_text("x,y\n" + "1,2\n" * 30)
    (place / "index.csv").write_text(",x\n" + "1,2\n" * 30)
    (place / "file").write_text("")
    (place / "other").mkdir()
    (place / "other" / "notes.txt").write_text("")
    before = sorted(place.rglob("*"))
    assert sentence in init(*words, code=2)
    assert sorted(place.rglob("*")) == before

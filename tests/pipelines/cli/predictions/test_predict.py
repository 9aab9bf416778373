"""`penstock predict` with files of new rows: which argument is what, where rows come from and go to, what is told."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core.artifacts import Model, SavedModel, Schema
from penstock.core.labels import Label
from penstock.pipelines.cli import main
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.record import Output, RunRecord, TaskRecord

SPEC = {"x": tf.io.FixedLenFeature([1], tf.float32)}
ROWS = "id,x\n007,0.25\n008,1\n"
SCORES = "id,x,prediction\n007,0.25,2.5\n008,1,10\n"
Predict = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without code, of ten times x."""
    folder = Model(tmp_path_factory.mktemp("model")).serving

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(serialized: tf.Tensor) -> Any:
        return {"predictions": 10 * tf.io.parse_example(serialized, SPEC)["x"]}

    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": serving_default})
    schema = schema_pb2.Schema()
    for name, kind in (("id", schema_pb2.BYTES), ("x", schema_pb2.FLOAT), ("y", schema_pb2.FLOAT)):
        schema.feature.add(name=name, type=kind)
    Schema(SavedModel(folder).schema.parent).write(schema)
    Label("y", "y_xf", "regression").write(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, saved: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a project with a pushed model, and new.csv."""
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "7").symlink_to(saved)
    (tmp_path / "train.csv").write_text("id,x,y\n1,1,10\n2,2,20\n")
    (tmp_path / "new.csv").write_text(ROWS)
    values = {"data": {"path": "train.csv"}, "label": "y", "push": {"directory": "serving"}}
    (tmp_path / "pipeline.yaml").write_text(json.dumps(values))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def predict(folder: Path, capfd: pytest.CaptureFixture[str]) -> Predict:
    """Returns a function that runs the command; it returns the exit code, and what is on both streams."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main.main(["predict", *arguments])
        return code, *capfd.readouterr()

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ["new.csv"],
        ["pipeline.yaml", "new.csv"],
        ["new.csv", "."],
        ["serving/7", "new.csv"],
        ["new.csv", "--model", "serving"],
        ["new.csv", "--model", "pipeline.yaml"],
        ["new.c*", "-o", "-"],
    ],
)
def test_the_model_and_the_rows_are_told_apart(predict: Predict, arguments: list[str]) -> None:
    code, out, err = predict(*arguments)
    assert (code, out) == (0, SCORES)
    assert err.startswith("2 rows in ")
    assert len(err.splitlines()) == 1


def test_a_file_is_written_whole_or_not_at_all(predict: Predict, folder: Path) -> None:
    code, out, err = predict("new.csv", "-o", "out/scores.csv", "--columns", "id")
    assert (code, out) == (0, "")
    assert err.startswith("2 rows to out/scores.csv in ")
    scores = folder / "out" / "scores.csv"
    assert scores.read_text() == "id,prediction\n007,2.5\n008,10\n"
    (folder / "new.csv").write_text(ROWS + "009,much\n")
    code, _, err = predict("new.csv", "-o", "out/scores.csv")
    assert code == 2
    told = "new.csv, line 4: column 'x': expected a number, found 'much'; --rejects FILE leaves such rows out"
    assert err == f"penstock: {told}\n"
    assert scores.read_text() == "id,prediction\n007,2.5\n008,10\n"
    assert [path.name for path in scores.parent.iterdir()] == ["scores.csv"]
    code, _, err = predict("new.csv", "-o", "out/scores.jsonl", "--rejects", "out/rejects.csv")
    assert code == 0
    assert err.splitlines()[1] == "1 row that cannot be read is in out/rejects.csv"
    assert len((folder / "out" / "scores.jsonl").read_text().splitlines()) == 2


class Loading(io.BytesIO):
    """Standard input, during whose reading libraries load and write what they write then."""

    def read(self, size: int | None = -1) -> bytes:
        os.write(2, b"I0000 cpu_feature_guard.cc:227] This TensorFlow binary is optimized\n")
        return super().read(size)


def test_standard_input_and_output(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, form, expected in [
        (ROWS, "csv", SCORES),
        ('{"x": 1, "id": 7}', "jsonl", '{"x":1,"id":7,"prediction":10}\n'),
    ]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Loading(text.encode())))
        code, out, err = predict("-", "--format", form)
        assert (code, out) == (0, expected)
        assert re.match(r"^\d rows? in ", err)
        assert len(err.splitlines()) == 1, "and nothing of what loads"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x\ny\n")))
    code, out, err = predict("-")
    assert (code, out) == (2, "")
    assert "standard input, line 2: column 'x': expected a number, found 'y'" in err


def test_csv_is_read_as_the_run_has_read_it(predict: Predict, folder: Path, saved: Path) -> None:
    """By the configuration, by the record of the run that a model is in, or as the command line says."""
    (folder / "new.csv").write_text("id;x\n1;0,5\n")
    code, _, err = predict("new.csv")
    assert code == 2
    assert "there is no column 'x', which the model needs; it has one column: is the delimiter --csv 'delim" in err
    expected = "id;x;prediction\n1;0,5;5\n"
    assert predict("new.csv", "--csv", "delimiter=;", "--csv", "decimal_point=,")[1] == expected
    values = json.loads((folder / "pipeline.yaml").read_text())
    values["data"]["csv"] = {"delimiter": ";", "decimal_point": ","}
    (folder / "pipeline.yaml").write_text(json.dumps(values))
    assert predict("new.csv")[1] == predict("new.csv", "--model", "serving/7")[1] == expected
    (folder / "pipeline.yaml").unlink()
    run = folder / "runs" / "demo-2026-01-02"
    options = json.dumps(json.dumps({"delimiter": ";", "decimal_point": ","}))
    (run / "trainer" / "model").mkdir(parents=True)
    (run / "trainer" / "model" / Model.SERVING).symlink_to(saved)
    tasks = [
        TaskRecord("csv-example-gen", "done", key=Key("csv_example_gen", "", "", {"csv_options": options}, {})),
        TaskRecord(
            "trainer",
            "done",
            key=Key("trainer", "", "", {}, {}),
            outputs={"model": Output(uri=str(run / "trainer" / "model"), metadata={})},
        ),
    ]
    RunRecord("demo", run, {}, "done", tasks=tasks).write()
    for model in (run, run / "trainer" / "model", run / "trainer" / "model" / Model.SERVING):
        assert predict("new.csv", "--model", str(model))[1] == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["new.csv", "--rows", "3"],
            "--rows, --split and --examples ask about rows of a run: expected no file of rows",
        ),
        (["-o", "scores.csv"], "-o: expected a file of rows with it: penstock predict new.csv -o …"),
        (["new.csv", "-o", "scores"], "-o scores: expected a name that ends in .csv, .jsonl or .parquet, or --format"),
        (["new.csv", "-o", "new.csv"], "new.csv: it is a file of rows: expected another to write"),
        (
            ["new.csv", "-o", "a.csv", "--rejects", "./a.csv"],
            "--rejects a.csv: expected another file than -o, which has the predictions",
        ),
        (["missing.csv"], "missing.csv: does not exist: expected a file, a folder or a pattern"),
        (["new-*.csv"], "new-*.csv: no file matches: expected a file, a folder or a pattern"),
        (["new.csv", "--csv", "delimiter"], "--csv delimiter: expected KEY=VALUE, such as delimiter=';'"),
        (["new.csv", "--csv", "delimeter=;"], "unknown key 'delimeter'; did you mean 'delimiter'?"),
        (["new.csv", "serving/7", "pipeline.yaml"], "expected one configuration or model, received serving/7 and pip"),
        (["pipeline.yaml", "new.csv", "--model", "serving/7"], "--model: expected no configuration and no model besi"),
        (["new.csv", "--model", "nothing"], "nothing does not exist: expected a configuration"),
        (["new.csv", "--columns", "idd"], "--columns: the data has no column 'idd'; did you mean 'id'?"),
    ],
)
def test_what_does_not_fit_is_told(predict: Predict, arguments: list[str], sentence: str) -> None:
    code, out, err = predict(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_without_a_configuration_the_model_has_to_be_named(predict: Predict, folder: Path) -> None:
    (folder / "pipeline.yaml").unlink()
    code, _, err = predict("new.csv")
    assert code == 2
    assert err.startswith("penstock: which model? There is no pipeline.yaml in this folder: expected --model")


def test_a_header_without_rows_is_no_error(predict: Predict, folder: Path) -> None:
    (folder / "new.csv").write_text("x,id\n")
    code, out, err = predict("new.csv")
    assert (code, out) == (0, "x,id,prediction\n")
    assert err.splitlines()[-1] == "warning: there is no row in the data"


@pytest.mark.slow
def test_workers_keep_the_order_of_rows(folder: Path, python: str) -> None:
    """A file of several pieces, in a process of its own: TensorFlow, which has run in this one, survives no fork."""
    texts = ["a" * (number % 90) for number in range(100_000)]
    lines = [f"{text},{number / 4}" for number, text in enumerate(texts)]
    (folder / "new.csv").write_text("\n".join(["id,x", *lines, ""]))
    command = [python, "-m", "penstock.pipelines.cli.main", "predict", "new.csv", "-o", "scores.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.startswith("100,000 rows to scores.csv in ")
    scores = pd.read_csv(folder / "scores.csv", keep_default_na=False)
    assert scores["id"].tolist() == texts
    assert (scores["prediction"] == 2.5 * pd.Series(range(100_000))).all()


def test_a_tsv_file_has_tabs(predict: Predict, folder: Path) -> None:
    assert predict("new.csv", "-o", "scores.tsv")[0] == 0
    assert (folder / "scores.tsv").read_text() == SCORES.replace(",", "\t")


@pytest.mark.parametrize("columns", ["", ","])
def test_no_columns_are_none(predict: Predict, columns: str) -> None:
    assert predict("new.csv", "--columns", columns)[:2] == (0, "prediction\n2.5\n10\n")


def test_a_column_with_a_comma_stands_in_quotes(predict: Predict, folder: Path) -> None:
    (folder / "new.csv").write_text('"id, here",x\na,1\n')
    expected = (0, '"id, here",prediction\na,10\n')
    assert predict("new.csv", "--columns", '"id, here"')[:2] == expected

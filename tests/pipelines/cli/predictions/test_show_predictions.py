"""What `penstock predict` shows: classes by their names, the value of a regression, and what is true."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
import tensorflow as tf

from penstock.core.examples import records
from penstock.core.labels import Label
from penstock.pipelines.cli import main
from penstock.pipelines.cli.output import schema

SPEC = {"x": tf.io.FixedLenFeature([1], tf.float32)}
PARROTS = tuple(f"parrot {number}" for number in range(8))


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """Three rows; the last one has no label."""
    columns = {
        "x": pa.array([[0.25], [0.75], [0.5]], pa.large_list(pa.float32())),
        "late": pa.array([[b"yes"], [b"no"], None], pa.large_list(pa.large_binary())),
    }
    records.write(tmp_path / "rows.gz", records.encode(pa.RecordBatch.from_pydict(columns)))
    return tmp_path / "rows.gz"


def saved(folder: Path, outputs: Any, label: Label | None) -> Path:
    """A model whose outputs are made of x, [batch, 1], as penstock.trainer.network.export lays it out."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(serialized: tf.Tensor) -> Any:
        return outputs(tf.io.parse_example(serialized, SPEC)["x"])

    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": serving_default})
    if label:
        label.write(folder)
    return folder


def scores(x: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"scores": tf.concat([1 - x, x] + [tf.zeros_like(x)] * 6, axis=1)}


@pytest.mark.parametrize(
    ("label", "outputs", "told"),
    [
        (
            Label("late", "late_xf", "binary", ("no", "yes")),
            lambda x: {"probabilities": x},
            ["no: 0.750, yes: 0.250", "yes: 0.750, no: 0.250", "no: 0.500, yes: 0.500"],
        ),
        (Label("late", "late_xf", "binary", (0, 1)), lambda x: {"probabilities": x}, ["0: 0.750, 1: 0.250"]),
        (
            Label("late", "late_xf", "multiclass", PARROTS),
            scores,
            ["parrot 0: 0.750, parrot 1: 0.250, parrot 2: 0.000, parrot 3: 0.000, parrot 4: 0.000 and 3 more"],
        ),
        (Label("late", "late_xf", "regression"), lambda x: {"predictions": 10 * x}, ["2.5", "7.5", "5"]),
    ],
)  # fmt: skip
def test_a_model_without_code_names_what_it_predicts(
    tmp_path: Path, examples: Path, capsys: pytest.CaptureFixture[str], label: Label, outputs: Any, told: list[str]
) -> None:
    model = saved(tmp_path / "model", outputs, label)
    assert Label.read(model) == label
    assert main.main(["predict", str(model), "--examples", str(examples)]) == 0
    first, second, third = capsys.readouterr().out.split("\n\n")[1:]
    assert first.splitlines() == ["row 1", "  x        0.25", f"  -> late  {told[0]}", "  actual   yes"]
    assert second.splitlines()[-1] == "  actual   no"
    assert "actual" not in third
    for row, sentence in zip((first, second, third), told, strict=False):
        assert f"-> late  {sentence}" in row.splitlines()[2]


def test_another_models_outputs_are_shown_as_they_are(
    tmp_path: Path, examples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = saved(tmp_path / "model", lambda x: {"outputs": x}, None)
    assert main.main(["predict", str(model), "--examples", str(examples), "--label", "late", "--rows", "1"]) == 0
    row = capsys.readouterr().out.split("\n\n")[1]
    assert row.splitlines() == ["row 1", "  x           0.25", "  -> outputs  0.25", "  actual      yes (late)"]


def test_json(tmp_path: Path, examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = saved(tmp_path / "model", lambda x: {"probabilities": x}, Label("late", "late_xf", "binary", ("no", "yes")))
    assert main.main(["predict", str(model), "--examples", str(examples), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(schema.schema()).validate(document)
    result = document["result"]
    assert (result["label"], result["classes"], result["model"]) == ("late", ["no", "yes"], str(model))
    assert result["rows"][:2] == [
        {"features": {"x": 0.25}, "prediction": {"probabilities": 0.25}, "label": "yes"},
        {"features": {"x": 0.75}, "prediction": {"probabilities": 0.75}, "label": "no"},
    ]
    assert result["rows"][2]["label"] is None


def test_json_of_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The scores are in a file then: standard output has the document."""
    model = saved(tmp_path / "model", lambda x: {"outputs": x}, None)
    data = tmp_path / "new.csv"
    data.write_text("x\n0.5\n0.25\n")
    arguments = ["predict", "--model", str(model), str(data), "--json"]
    assert main.main(arguments) == 2
    told = capsys.readouterr()
    assert json.loads(told.out)["error"]["message"].startswith("--json: standard output is for its document")
    assert main.main([*arguments, "-o", str(tmp_path / "scores.csv")]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(schema.schema()).validate(document)
    assert (document["result"]["rows"], document["result"]["rejected"]) == (2, 0)
    assert (tmp_path / "scores.csv").read_text() == "x,outputs\n0.5,0.5\n0.25,0.25\n"

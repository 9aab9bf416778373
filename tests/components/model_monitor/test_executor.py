"""The baseline: what the training data looks like, what the model answers, and the thresholds with their reasons."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.model_monitor import executor
from penstock.core.artifacts import Model, ModelEvaluation, SavedModel, Schema
from penstock.core.artifacts.monitoring import BaselineRecord, MonitoringBaseline
from penstock.core.cleaning import cleaning, parsing
from penstock.core.errors import ConfigError, DataError
from penstock.core.labels import Label

ROWS = 4000
LABEL = Label("late", "late_xf", "binary", ("no", "yes"))


def columns(seed: int, rows: int = ROWS) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    miles = generator.gamma(2.0, 2.0, rows)
    return {
        "miles": pa.array(miles, mask=generator.random(rows) < 0.1),
        "hour": generator.integers(0, 24, rows),
        "company": generator.choice(["blue", "red", "green"], rows, p=[0.6, 0.3, 0.1]),
        "late": np.where(generator.random(rows) < miles / 20, "yes", "no"),
    }


def schema() -> schema_pb2.Schema:
    result = schema_pb2.Schema()
    kinds = {"miles": schema_pb2.FLOAT, "hour": schema_pb2.INT, "company": schema_pb2.BYTES, "late": schema_pb2.BYTES}
    for name, kind in kinds.items():
        result.feature.add(name=name, type=kind)
    return result


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The probability of being late grows with the miles."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, {"miles": tf.io.FixedLenFeature([1], tf.float32, 0.0)})
        return {"probabilities": 1 - tf.exp(-parsed["miles"] / 10)}

    folder = tmp_path_factory.mktemp("model")
    tf.saved_model.save(tf.Module(), str(folder / "Format-Serving"), signatures={"serving_default": serving_default})
    LABEL.write(folder / "Format-Serving")
    return folder


@pytest.fixture
def make(tmp_path: Path, write_examples: Callable[..., Path]) -> Callable[..., MonitoringBaseline]:
    """Returns a function that makes a baseline; its arguments are the component's, and a schema."""

    def run(of_schema: schema_pb2.Schema | None = None, **more: Any) -> MonitoringBaseline:
        examples = write_examples({"train": columns(1), "eval": columns(2, 1000)}, files=2)
        Schema(tmp_path / "schema").write(of_schema or schema())
        arguments = {
            "baseline": str(tmp_path / "baseline"),
            "examples": str(examples),
            "schema": str(tmp_path / "schema"),
            "label": "late",
            "engine": "local:1",
        }
        executor.run(**arguments | more)
        return MonitoringBaseline(tmp_path / "baseline")

    return run


def limits(baseline: BaselineRecord) -> Mapping[str, dict[str, tuple[float | None, str]]]:
    result: dict[str, dict[str, tuple[float | None, str]]] = {}
    for one in baseline["thresholds"]:
        result.setdefault(one["name"], {})[one["measure"]] = one["value"], one["reason"]
    return result


def test_a_baseline_holds_all_that_windows_are_compared_with(
    make: Callable[..., MonitoringBaseline], model: Path
) -> None:
    baseline = make(model=str(model), model_uri="gs://models/1")
    record = baseline.read()
    assert (record["rows"], record["label_name"], record["model"]) == (
        {"train": ROWS, "eval": 1000},
        "late",
        "gs://models/1",
    )
    of_features = {one["name"]: one for one in record["features"]["features"]}
    assert set(of_features) == {"miles", "hour", "company"}
    assert sum(of_features["company"]["counts"]) == ROWS
    assert 0.08 < of_features["miles"]["lengths"][0] / ROWS < 0.12
    assert record["predictions"] is not None
    assert [one["name"] for one in record["predictions"]["features"]] == ["prediction", "probability"]
    assert pq.read_table(baseline.sample).column_names == ["miles", "hour", "company"]
    evaluated = pq.read_table(baseline.evaluation)
    assert (evaluated.column_names, evaluated.num_rows) == (["prediction", "probability", "label"], 1000)
    assert set(evaluated["label"].to_pylist()[0]) <= {b"no", b"yes"}
    assert {"Jensen-Shannon divergence", "share of values that training had not"} <= set(
        baseline.report.read_text().replace("</td>", "<td>").split("<td>")
    )


def test_the_rules_by_which_requests_are_cleaned_come_from_the_model(
    make: Callable[..., MonitoringBaseline], model: Path, tmp_path: Path
) -> None:
    assert not make(model=str(model)).cleaning.exists()
    copy = Path(shutil.copytree(model, tmp_path / "cleaning-model"))
    folder = Model(copy).serving_model()
    assert folder
    rules = cleaning.of(parsing.rules([{"rule": "range", "columns": ["miles"], "min": 0}]), {"miles": "float"})
    rules.write(SavedModel(folder).cleaning)
    assert cleaning.Cleaning.read(make(model=str(copy)).cleaning) == rules


def test_thresholds_are_those_of_the_configuration_then_of_the_schema_then_derived(
    make: Callable[..., MonitoringBaseline],
) -> None:
    compared = schema()
    compared.feature[0].skew_comparator.jensen_shannon_divergence.threshold = 0.3
    compared.feature[1].drift_comparator.jensen_shannon_divergence.threshold = 0.2
    compared.feature[2].skew_comparator.infinity_norm.threshold = 0.1
    configured = {"miles": 0.4, "company": {"missing": 0.25, "new_values": None}}
    by_name = limits(make(compared, thresholds=json.dumps(configured)).read())
    assert by_name["miles"]["jensen_shannon"] == (0.4, "set in the configuration")
    assert by_name["miles"]["kolmogorov_smirnov"] == (None, "set in the configuration")
    assert by_name["hour"]["jensen_shannon"] == (0.2, "the schema's drift_comparator")
    assert by_name["company"]["l_infinity"] == (0.1, "the schema's skew_comparator")
    assert by_name["company"]["missing"] == (0.25, "set in the configuration")
    assert by_name["company"]["new_values"] == (None, "set in the configuration")
    value, reason = by_name["hour"]["out_of_range"]
    assert value is not None
    assert 0 < value < 0.1
    assert reason.startswith("derived: ")


def test_importance_is_the_evaluations(make: Callable[..., MonitoringBaseline], tmp_path: Path) -> None:
    evaluation = ModelEvaluation(tmp_path / "evaluation")
    evaluation.root.mkdir()
    evaluation.write_summary(
        {
            "problem": "binary", "label": "late", "classes": ["no", "yes"], "main_metric": "auc", "lower_is_better": [],
            "splits": ["eval"], "numbers": [], "slices": [], "effects": [], "sampled_rows": 9,
            "importance": [{"column": "miles", "worse_by": [0.3, 0.1]}, {"column": "hour", "worse_by": [0.05, 0.05]}],
        }
    )  # fmt: skip
    assert make(evaluation=str(evaluation.root)).read()["importance"] == {"miles": 1.0, "hour": pytest.approx(0.25)}


def test_a_model_that_was_not_evaluated_is_noted(make: Callable[..., MonitoringBaseline], tmp_path: Path) -> None:
    record = make(evaluation=str(tmp_path / "nowhere")).read()
    assert (record["importance"], "judged" in record) == ({}, False)
    assert record["notes"][0].startswith("the model was not evaluated: ")


def test_an_evaluation_that_is_damaged_is_an_error(make: Callable[..., MonitoringBaseline], tmp_path: Path) -> None:
    ModelEvaluation(tmp_path).summary.write_text("{")
    with pytest.raises(DataError, match="expected what this version's Evaluator wrote"):
        make(evaluation=str(tmp_path))


def test_the_label_that_the_model_names_is_no_feature(make: Callable[..., MonitoringBaseline], model: Path) -> None:
    record = make(model=str(model), label="").read()
    assert record["label_name"] == "late"
    assert {one["name"] for one in record["features"]["features"]} == {"miles", "hour", "company"}


def test_a_model_of_another_kind_has_no_predictions(make: Callable[..., MonitoringBaseline], tmp_path: Path) -> None:
    pickled = tmp_path / "other" / "Format-Serving" / "model.pkl"
    pickled.parent.mkdir(parents=True)
    pickled.write_bytes(b"\x80")
    record = make(model=str(tmp_path / "other")).read()
    assert record["predictions"] is None
    assert record["notes"] == ["predictions are not monitored: the model is no SavedModel (there is model.pkl)"]


def test_a_model_of_tensors_has_no_predictions(make: Callable[..., MonitoringBaseline], tmp_path: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="miles")])
    def serving_default(miles: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"late": miles}

    folder = tmp_path / "tensors" / "Format-Serving"
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": serving_default})
    record = make(model=str(tmp_path / "tensors"), eval_splits=["test"]).read()
    assert record["predictions"] is None
    assert "expected one input, serialized tf.Examples" in record["notes"][0]


def test_without_an_evaluation_split_predictions_are_those_for_training(
    make: Callable[..., MonitoringBaseline], model: Path
) -> None:
    assert make(model=str(model), eval_splits=["test"]).read()["rows"] == {"train": ROWS, "eval": ROWS}


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"thresholds": '{"mile": 0.1}'}, ConfigError, "there is no feature 'mile'; did you mean 'miles'"),
        ({"thresholds": '{"miles": 2}'}, ConfigError, "thresholds.miles: expected a number above 0, up to 1"),
        ({"thresholds": '{"miles": {"l_infinity": 0.1}}'}, ConfigError, "'l_infinity' is not measured of a number"),
        ({"false_alarm_rate": 1.5}, ConfigError, "false_alarm_rate: expected a share above 0 and below 1"),
        ({"train_splits": ["test"]}, DataError, "split 'test' does not exist"),
    ],
)
def test_what_cannot_be_meant_is_said(
    make: Callable[..., MonitoringBaseline], more: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make(**more)


def test_a_label_that_the_schema_lacks_is_not_kept(make: Callable[..., MonitoringBaseline], model: Path) -> None:
    without = schema()
    del without.feature[3]
    baseline = make(without, model=str(model))
    assert baseline.read()["label_name"] == "late"
    assert pq.read_table(baseline.evaluation).column_names == ["prediction", "probability"]

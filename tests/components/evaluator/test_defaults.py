"""What is evaluated where nobody says it: the metrics that suit the model, against the label that it predicts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from sklearn import metrics as oracle
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from penstock.components.evaluator.defaults import problem
from penstock.components.evaluator.defaults.problem import Problem
from penstock.components.evaluator.metrics.plots import BinaryHistograms
from penstock.core import artifacts
from penstock.core.artifacts import ModelBlessing, Verdict
from penstock.core.errors import ConfigError, DataError, ModelError
from penstock.core.examples import records
from tests.components.evaluator.conftest import Evaluated, PenguinModel, Penguins

type Evaluate = Callable[..., Evaluated]
EXAMPLES = [tf.TensorSpec([None], tf.string, name="examples")]


def verdict(evaluated: Evaluated) -> Verdict:
    return artifacts.ModelValidation(evaluated.validation).read()


def measured(evaluated: Evaluated) -> dict[str, float]:
    """The metrics over all examples; those of single classes have `_` and the class at the end."""
    found = {}
    parts = writer.load_and_deserialize_metrics(str(evaluated.evaluation))
    overall = next(part for part in parts if not part.slice_key.single_slice_keys)
    for entry in overall.metric_keys_and_values:
        of_class = f"_{entry.key.sub_key.class_id.value}" if entry.key.HasField("sub_key") else ""
        found[entry.key.name + of_class] = entry.value.double_value.value
    return found


def predicted(penguins: Penguins, model: tf.Module, output: str = "outputs") -> np.ndarray:
    rows = [row for path in artifacts.Examples(penguins.examples).files("eval") for row in next(records.read(path))]
    return model.serve(tf.constant(rows))[output].numpy()


def column(penguins: Penguins, name: str) -> np.ndarray:
    rows = [row for path in artifacts.Examples(penguins.examples).files("eval") for row in next(records.read(path))]
    features = [tf.train.Example.FromString(row).features.feature[name] for row in rows]
    return np.array([(feature.int64_list.value or feature.float_list.value)[0] for feature in features])


@pytest.mark.slow
def test_a_probability_and_a_label_of_two_values_are_binary(evaluate: Evaluate, penguins: Penguins) -> None:
    evaluated = evaluate("", label="male")
    labels, scores = column(penguins, "male"), predicted(penguins, PenguinModel("sex"))[:, 0]
    found = measured(evaluated)
    assert found["example_count"] == 300
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(labels, scores), abs=2e-4)
    assert found["binary_accuracy"] == pytest.approx(oracle.accuracy_score(labels, scores > 0.5))
    assert found["f1_score"] == pytest.approx(oracle.f1_score(labels, scores > 0.5))
    assert found["binary_crossentropy"] == pytest.approx(oracle.log_loss(labels, scores), rel=1e-4)
    assert {"auc_precision_recall", "precision", "recall"} <= found.keys()
    assert not evaluated.result.blessed
    assert not ModelBlessing(evaluated.blessing).read()
    (reason,) = verdict(evaluated)["reasons"]
    assert reason["sentence"] == "no threshold was given, so nothing is blessed"
    assert verdict(evaluated)["notes"] == [
        "evaluated on eval, which training sees too, to decide when to stop; a third split, such as test, would be new "
        "to the model"
    ]


@pytest.mark.slow
def test_few_examples_are_told(evaluate: Evaluate) -> None:
    (note,) = verdict(evaluate("", label="male", example_splits=["test"]))["notes"]
    assert note.startswith("evaluated on 42 examples only, so chance alone moves each figure far: expected 50 or more")


@pytest.mark.slow
def test_shares_and_an_index_are_multiclass(evaluate: Evaluate, penguins: Penguins) -> None:
    found = measured(evaluate("", "species", label="species_id", example_splits=["eval"]))
    labels, scores = column(penguins, "species_id"), predicted(penguins, PenguinModel("species"))
    answers = scores.argmax(axis=1)
    assert found["sparse_categorical_accuracy"] == pytest.approx(oracle.accuracy_score(labels, answers))
    assert found["sparse_categorical_crossentropy"] == pytest.approx(oracle.log_loss(labels, scores), rel=1e-4)
    for index in range(3):
        expected = oracle.precision_score(labels == index, scores[:, index] > 0.5)
        assert found[f"precision_{index}"] == pytest.approx(expected)
    mean = np.mean([oracle.f1_score(labels == index, scores[:, index] > 0.5) for index in range(3)])
    assert found["f1_score"] == pytest.approx(mean)


@pytest.mark.slow
def test_numbers_are_a_regression_told_in_the_labels_unit(evaluate: Evaluate, penguins: Penguins) -> None:
    found = measured(evaluate("", "mass", label="mass"))
    labels, scores = column(penguins, "mass"), predicted(penguins, PenguinModel("mass"))[:, 0]
    assert found["root_mean_squared_error"] == pytest.approx(oracle.root_mean_squared_error(labels, scores), rel=1e-5)
    assert found["mean_absolute_error"] == pytest.approx(oracle.mean_absolute_error(labels, scores), rel=1e-5)
    assert found["r2_score"] == pytest.approx(oracle.r2_score(labels, scores), rel=1e-4)
    assert "mean_squared_error" not in found, "it is in the label's unit squared"


@pytest.mark.slow
def test_slices_alone_and_thresholds_alone_get_the_metrics_that_suit(evaluate: Evaluate) -> None:
    evaluated = evaluate("slicing_specs: [{}, {feature_keys: [island]}]", label="male")
    result = tfma.load_eval_result(str(evaluated.evaluation))
    assert {key for key, _ in result.slicing_metrics} == {
        (), (("island", "Biscoe"),), (("island", "Dream"),), (("island", "Torgersen"),)
    }  # fmt: skip
    assert all("auc" in metrics[""][""] for _, metrics in result.slicing_metrics)


@pytest.mark.slow
def test_metrics_that_are_there_are_no_second_time(evaluate: Evaluate) -> None:
    threshold = "{class_name: AUC, threshold: {value_threshold: {lower_bound: 0.5}}}"
    specs = f"metrics_specs: [{{metrics: [{threshold}]}}, {{}}]"
    config = f"model_specs: [{{label_key: male, example_weight_key: weight}}]\n{specs}"
    evaluated = evaluate(config, "worse", "sex")
    assert evaluated.result.blessed
    written = json.loads(artifacts.ModelEvaluation(evaluated.evaluation).config.read_text())["evalConfig"]
    names = [metric["className"] for spec in written["metricsSpecs"] for metric in spec["metrics"]]
    assert sorted(names) == sorted(set(names))
    assert {"AUC", "BinaryAccuracy", "WeightedExampleCount"} <= set(names)


def test_the_label_is_what_the_schema_says_is_not_served(
    evaluate: Evaluate, penguins: Penguins, tmp_path: Path
) -> None:
    schema = artifacts.Schema(penguins.schema).read()
    next(feature for feature in schema.feature if feature.name == "male").not_in_environment.append("SERVING")
    artifacts.Schema(tmp_path / "marked").write(schema)
    assert "auc" in measured(evaluate("", schema=str(tmp_path / "marked")))


class Transforming(PenguinModel):
    """As a module's model: its label is the sex as a number, under another name."""

    @tf.function(input_signature=EXAMPLES)
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        features = tf.io.parse_example(examples, {"sex": tf.io.FixedLenFeature([], tf.string, "")})
        return {"sex_xf": tf.cast(features["sex"] == "male", tf.int64)[:, None]}


@pytest.mark.slow
def test_the_label_is_what_the_models_signature_makes_of_it(
    evaluate: Evaluate, penguins: Penguins, tmp_path: Path
) -> None:
    model = Transforming("sex")
    signatures = {"serving_default": model.serve, "transform_features": model.transform_features}
    tf.saved_model.save(model, str(artifacts.Model(tmp_path / "transforming").serving), signatures=signatures)
    penguins.models["transforming"] = tmp_path / "transforming"
    labels, scores = column(penguins, "male"), predicted(penguins, PenguinModel("sex"))[:, 0]
    found = measured(evaluate("", "transforming", label="sex"))
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(labels, scores), abs=2e-4)


def test_what_cannot_be_evaluated_is_no_error_where_nothing_is_asked_for(
    evaluate: Evaluate, penguins: Penguins, garbage: str
) -> None:
    evaluated = evaluate("", label="sex", examples=garbage)
    assert not evaluated.result.blessed
    (reason,) = verdict(evaluated)["reasons"]
    assert reason["sentence"].startswith("the model is not evaluated: eval_config: label_key: feature 'sex' holds text")
    assert "nothing says which feature the model predicts" in verdict(evaluate(""))["reasons"][0]["sentence"]
    (penguins.models["both"].parent / "pickled" / "Format-Serving").mkdir(parents=True)
    (penguins.models["both"].parent / "pickled" / "Format-Serving" / "model.pickle").write_bytes(b"no SavedModel")
    penguins.models["pickled"] = penguins.models["both"].parent / "pickled"
    (reason,) = verdict(evaluate("", "pickled", label="male"))["reasons"]
    assert "the model is no SavedModel (model.pickle)" in reason["sentence"]
    with pytest.raises(DataError):
        evaluate("", label="male", examples=garbage)
    with pytest.raises(ConfigError, match="nothing says which feature the model predicts"):
        evaluate("slicing_specs: [{feature_keys: [island]}]")


def saved(penguins: Penguins, folder: Path, model: tf.Module) -> str:
    """Writes a model that has the signature `serve`; returns its name for `evaluate`."""
    tf.saved_model.save(model, str(artifacts.Model(folder).serving), signatures={"serving_default": model.serve})
    penguins.models[folder.name] = folder
    return folder.name


def test_examples_of_all_files_tell_what_is_predicted(evaluate: Evaluate, penguins: Penguins, tmp_path: Path) -> None:
    sorted_examples = artifacts.Examples(tmp_path / "sorted")
    rows = [row for path in artifacts.Examples(penguins.examples).files("eval") for row in next(records.read(path))]
    order = np.argsort(column(penguins, "species_id"), kind="stable")
    for index in range(2):
        records.write(
            sorted_examples.shard("eval", index, 2), [rows[place] for place in np.array_split(order, 2)[index]]
        )
    evaluated = evaluate("", "sex", label="species_id", examples=str(sorted_examples.root))
    assert "root_mean_squared_error" in measured(evaluated), "in the first file are the species 0 and 1 only"


class OnlySmall(PenguinModel):
    """Refuses penguins of more than four kilograms."""

    @tf.function(input_signature=EXAMPLES)
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        mass = tf.io.parse_example(examples, {"mass": tf.io.FixedLenFeature([], tf.float32, 0.0)})["mass"]
        with tf.control_dependencies([tf.debugging.assert_less(mass, 4000.0, "too heavy")]):
            return {"outputs": tf.identity(mass)[:, None] / 8000.0}


def test_a_model_that_fails_is_no_error_where_nothing_is_asked_for(
    evaluate: Evaluate, penguins: Penguins, tmp_path: Path
) -> None:
    name = saved(penguins, tmp_path / "only_small", OnlySmall("sex"))
    (reason,) = verdict(evaluate("", name, label="male"))["reasons"]
    assert reason["sentence"].startswith("the model is not evaluated: the model cannot take these examples: ")
    assert "too heavy" in reason["sentence"]
    shutil.copytree(penguins.models["sex"], tmp_path / "broken")
    (variables,) = (tmp_path / "broken").rglob("variables.index")
    variables.write_bytes(b"no variables")
    penguins.models["broken"] = tmp_path / "broken"
    (reason,) = verdict(evaluate("", "broken", label="male"))["reasons"]
    assert reason["sentence"].startswith("the model is not evaluated: the model cannot be loaded: ")
    (reason,) = verdict(evaluate("", "sex", label="sex", schema=None))["reasons"]
    assert "feature 'sex' holds no numbers" in reason["sentence"]


class OnlySmallMasses(PenguinModel):
    """The same of a number, not of examples, with which nobody asks again why it was refused."""

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="mass")])
    def serve(self, mass: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.debugging.assert_less(mass, 4000.0, "too heavy")]):
            return {"outputs": mass / 8000.0}


def test_a_failure_that_nobody_explains_is_a_sentence_too(
    evaluate: Evaluate, penguins: Penguins, tmp_path: Path
) -> None:
    name = saved(penguins, tmp_path / "only_small_masses", OnlySmallMasses("sex"))
    (reason,) = verdict(evaluate("", name, label="male"))["reasons"]
    assert reason["sentence"].startswith("the model is not evaluated: the model cannot be evaluated: ")
    assert "too heavy" in reason["sentence"]
    with pytest.raises(ModelError, match=r"the model cannot be evaluated: .*too heavy"):
        evaluate("model_specs: [{label_key: male}]\nmetrics_specs: [{metrics: [{class_name: AUC}]}]", name)


@pytest.mark.parametrize("fault", [KeyError("column"), ValueError("shape")])
def test_a_fault_of_the_program_is_an_error_though_nothing_is_asked_for(
    evaluate: Evaluate, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise fault

    monkeypatch.setattr(BinaryHistograms, "add", fails)
    with pytest.raises(type(fault), match=fault.args[0]):
        evaluate("", label="male")


ONE, UNIT = np.ones((4, 1)), np.array([[0.1], [0.9], [0.4], [0.2]])
BINARY = np.array([[0], [1], [1], [0]])
THREE = np.array([[0.2, 0.3, 0.5]] * 4)
CASES: dict[str, tuple[Any, Any, Problem]] = {
    "probabilities": (BINARY, UNIT, Problem("binary", 2)),
    "all of one class": (BINARY * 0, UNIT, Problem("binary", 2)),
    "logits": (BINARY, UNIT * 10 - 5, Problem("binary", 2, logits=True)),
    "numbers": (BINARY * 2, UNIT, Problem("regression")),
    "numbers that may be 0": (BINARY * 0, UNIT * 10 - 5, Problem("regression")),
    "classes": (np.array([[0], [2], [-1], [1]]), THREE, Problem("multiclass", 3)),
    "logits of classes": (BINARY, THREE * 9, Problem("multiclass", 3, logits=True)),
    "rows of classes": (np.eye(3)[[0, 1, 2, 0]], THREE, Problem("multiclass", 3, one_hot=True)),
    "several numbers": (np.full((4, 3), 0.7), THREE, Problem("other")),
    "a class too many": (np.array([[0], [3], [1], [1]]), THREE, Problem("other")),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_predicted(case: str) -> None:
    labels, predictions, expected = CASES[case]
    assert problem.of(labels, predictions) == expected

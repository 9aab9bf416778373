"""`summary.json` tells what TFMA's files beside it tell."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_model_analysis as tfma

from penstock.components.evaluator.summary.service_pages import EvaluationResult
from penstock.core import artifacts
from penstock.core.examples import records
from tests.components.evaluator.conftest import Evaluated, Penguins

type Evaluate = Callable[..., Evaluated]

SLICES = "slicing_specs: [{}, {feature_keys: [island]}, {feature_keys: [island, year]}]"
BINARY = """metrics_specs: [{metrics: [{class_name: AUC}, {class_name: Precision}, {class_name: BinaryCrossentropy},
  {class_name: ExampleCount}]}]"""
REGRESSION = "metrics_specs: [{metrics: [{class_name: RootMeanSquaredError}]}]"
BASELINE = "model_specs: [{name: ours, label_key: male}, {name: theirs, label_key: male, is_baseline: true}]"


def summary(evaluated: Evaluated) -> dict[str, Any]:
    written = artifacts.ModelEvaluation(evaluated.evaluation).read_summary()
    for part in written["slices"]:
        part["features"] = tuple(map(tuple, part["features"]))
    return written


def by_slice(evaluated: Evaluated, model: str) -> dict[tuple[tuple[str, str], ...], dict[str, float]]:
    """TFMA's numbers, by slice and name."""
    loaded = tfma.load_eval_result(str(evaluated.evaluation), model_name=model)
    return {
        tuple((name, str(value)) for name, value in key): {
            name: float(value["doubleValue"])  # "NaN" is text
            for name, value in metrics[""][""].items()
            if "doubleValue" in value and not name.endswith("_diff")
        }
        for key, metrics in loaded.slicing_metrics
    }


def test_the_numbers_are_those_of_tfmas_files(evaluate: Evaluate) -> None:
    evaluated = evaluate(f"{BASELINE}\n{BINARY}\n{SLICES}", baseline="worse")

    written = summary(evaluated)
    for model, field in (("ours", "metrics"), ("theirs", "baseline")):
        expected = by_slice(evaluated, model)
        assert len(written["slices"]) == len(expected) == 13
        for part in written["slices"]:
            told_by_tfma = expected[part["features"]].items()
            numbers = {name: None if math.isnan(value) else value for name, value in told_by_tfma}
            assert {name: measure["value"] for name, measure in part[field].items()} == numbers
            assert part["examples"] == numbers["example_count"]
        for measure in (part[field][name] for name in ("auc", "precision", "binary_crossentropy")):
            is_known = measure["value"] is not None and "low" in measure
            assert not is_known or (measure["low"] <= measure["value"] <= measure["high"] and measure["approximate"])
    overall = written["slices"][0]
    assert overall["features"] == ()
    assert all("low" in overall["metrics"][name] for name in ("auc", "precision", "binary_crossentropy"))
    assert all("low" in overall["baseline"][name] for name in ("auc", "binary_crossentropy"))
    assert (written["problem"], written["label"], written["classes"]) == ("binary", "male", ["0", "1"])
    assert (written["main_metric"], written["lower_is_better"]) == ("auc", ["binary_crossentropy"])
    assert [(each["model"], each["split"], each["examples"]) for each in written["numbers"]] == [
        ("candidate", "eval", 300),
        ("baseline", "eval", 300),
        ("candidate", "test", 42),
    ]
    assert written["numbers"][1]["metrics"] == written["slices"][0]["baseline"]


@pytest.mark.parametrize(("model", "label", "kind"), [("sex", "male", "binary"), ("mass", "mass", "regression")])
def test_slices_have_plots_of_all_their_examples(evaluate: Evaluate, model: str, label: str, kind: str) -> None:
    metric = "AUC" if kind == "binary" else "MeanAbsoluteError"
    config = (
        f"model_specs: [{{label_key: {label}}}]\nmetrics_specs: [{{metrics: [{{class_name: {metric}}}]}}]\n{SLICES}"
    )
    written = summary(evaluate(config, model=model))
    assert sum(part["examples"] for part in written["slices"]) == 3 * 300
    for part in written["slices"]:
        plot = part["plot"]
        drawn = plot["positive"] + plot["negative"] if kind == "binary" else plot["residuals"]
        assert (plot["kind"], sum(drawn)) == (kind, pytest.approx(part["examples"]))


def test_other_splits_and_the_trivial_model_stand_beside(evaluate: Evaluate, penguins: Penguins) -> None:
    config = (
        "model_specs: [{label_key: mass}]\n"
        "metrics_specs: [{metrics: [{class_name: RootMeanSquaredError}, {class_name: MeanLabel}]}]"
    )
    written = summary(evaluate(config, model="mass", train_splits=["test"]))
    numbers = {(each["model"], each["split"]): each["metrics"] for each in written["numbers"]}
    assert list(numbers) == [
        ("candidate", "eval"),
        ("trivial", "eval"),
        ("candidate", "test"),
        ("trivial", "test"),
    ]
    other = summary(evaluate(config, model="mass", example_splits=["test"]))["numbers"][0]
    assert numbers["candidate", "test"] == {name: pytest.approx(value) for name, value in other["metrics"].items()}
    # What always predicts the mean of its own labels is off by their standard deviation.
    files = artifacts.Examples(penguins.examples).files("test")
    masses = records.decode(next(records.read(files[0]))).column("mass").flatten().to_numpy()
    assert numbers["trivial", "test"]["root_mean_squared_error"]["value"] == pytest.approx(np.std(masses))


def test_what_the_model_reads_matters(evaluate: Evaluate) -> None:
    written = summary(evaluate(f"model_specs: [{{label_key: mass}}]\n{REGRESSION}", model="mass"))
    by_column = {each["column"]: each["worse_by"] for each in written["importance"]}
    assert next(iter(by_column)) == "flipper", "the only one that the model computes with"
    assert "mass" not in by_column
    assert len(by_column["flipper"]) == 5
    assert min(by_column["flipper"]) > 100
    assert {name: set(values) for name, values in by_column.items() if name != "flipper"} == {
        name: {0.0} for name in by_column if name != "flipper"
    }
    (effect,) = (each for each in written["effects"] if each["column"] == "flipper")
    assert effect["predictions"] == pytest.approx([49.7 * value - 5780.0 for value in effect["values"]], rel=1e-5)
    assert written["sampled_rows"] == 300


def test_the_results_are_for_the_pages_of_services_as_well(evaluate: Evaluate, tmp_path: Path) -> None:
    page = tmp_path / "report"
    evaluated = evaluate(f"{BASELINE}\n{BINARY}", baseline="worse", report=str(page))
    result = evaluated.result
    assert isinstance(result, EvaluationResult)
    overall = summary(evaluated)["slices"][0]
    assert result.metadata["metrics"]["auc"] == overall["metrics"]["auc"]["value"]
    assert result.metadata["metrics"]["baseline_auc"] == overall["baseline"]["auc"]["value"]
    males = sum(sum(row["row"]) for row in result.classification["confusionMatrix"]["rows"][1:])
    assert males == sum(overall["plot"]["positive"])
    assert result.classification["confidenceMetrics"][-1]["recall"] == 1
    assert "<h1" in (page / "report.html" if page.is_dir() else page).read_text()


def test_one_output_of_several_is_asked(evaluate: Evaluate) -> None:
    config = f"model_specs: [{{label_key: male, prediction_key: sex}}]\n{BINARY}"
    written = summary(evaluate(config, model="both"))
    assert [each["split"] for each in written["numbers"]] == ["eval", "test"]
    assert written["importance"][0]["column"] in ("mass", "species_id")
    assert written["importance"][0]["worse_by"][0] > 0.01


def test_importance_can_be_left_out(evaluate: Evaluate) -> None:
    written = summary(evaluate(f"model_specs: [{{label_key: mass}}]\n{REGRESSION}", model="mass", importance_rows=0))
    assert (written["importance"], written["effects"], written["sampled_rows"]) == ([], [], 0)
    few = summary(evaluate(f"model_specs: [{{label_key: mass}}]\n{REGRESSION}", model="mass", importance_rows=50))
    assert few["sampled_rows"] == 50


def test_a_metric_that_is_not_defined_has_no_value(evaluate: Evaluate) -> None:
    written = summary(
        evaluate(f"model_specs: [{{label_key: male}}]\n{BINARY}\nslicing_specs: [{{feature_keys: [sex]}}]")
    )

    males = next(part for part in written["slices"] if part["features"] == (("sex", "male"),))
    assert males["metrics"]["auc"] == {"value": None}  # TFMA says 0
    assert males["metrics"]["precision"]["value"] == 1.0
    assert [each["split"] for each in written["numbers"]] == ["test"], "the overall slice was not asked for"
    assert written["main_metric"] == "auc"


@pytest.mark.parametrize(
    ("model", "config", "problem", "classes", "main_metric"),
    [
        (
            "species",
            "model_specs: [{label_key: species_id}]\n"
            "metrics_specs: [{metrics: [{class_name: SparseCategoricalAccuracy}]}, "
            "{binarize: {class_ids: {values: [2]}}, metrics: [{class_name: AUC}]}]",
            "multiclass",
            ["0", "1", "2"],
            "sparse_categorical_accuracy",
        ),
        (
            "mass",
            "model_specs: [{label_key: mass}]\n"
            "metrics_specs: [{metrics: [{class_name: MeanLabel}, {class_name: MeanAbsoluteError, "
            "threshold: {value_threshold: {upper_bound: 900}}}, {class_name: RootMeanSquaredError}]}]",
            "regression",
            [],
            "mean_absolute_error",
        ),
        (
            "both",
            "model_specs: [{label_keys: {sex: male, species: species_id}}]\n"
            "metrics_specs: [{output_names: [sex], metrics: [{class_name: AUC}]}]",
            "other",
            [],
            "auc of sex",
        ),
        (
            "sex",
            "model_specs: [{label_key: male}]\nmetrics_specs: [{metrics: [{class_name: ExampleCount}]}]",
            "other",
            [],
            "",
        ),
    ],
)
def test_the_problem_is_what_the_predictions_and_the_metrics_say(
    evaluate: Evaluate, model: str, config: str, problem: str, classes: list[str], main_metric: str
) -> None:
    written = summary(evaluate(config, model=model))
    assert (written["problem"], written["classes"], written["main_metric"]) == (problem, classes, main_metric)
    assert written["slices"][0]["examples"] == 300


def test_a_metric_with_and_without_weights_has_two_names(evaluate: Evaluate) -> None:
    metrics = "metrics: [{class_name: AUC, threshold: {value_threshold: {lower_bound: 0.5}}}]"
    config = (
        "model_specs: [{label_key: male, example_weight_key: weight}]\n"
        f"metrics_specs: [{{example_weights: {{weighted: true, unweighted: true}}, {metrics}}}]"
    )
    written = summary(evaluate(config, train_splits=["test"]))
    assert written["main_metric"] == "auc"
    (overall, trivial, *others) = written["numbers"]
    assert overall["metrics"].keys() == trivial["metrics"].keys() == {"auc", "auc (weighted)"}
    test = next(each for each in others if each["model"] == "candidate")
    alone = summary(evaluate(config, example_splits=["test"]))["numbers"][0]
    assert test["metrics"] == {name: pytest.approx(value) for name, value in alone["metrics"].items()}
    assert alone["metrics"]["auc"] != alone["metrics"]["auc (weighted)"]
    assert written["importance"]

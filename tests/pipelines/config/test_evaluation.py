"""The short form of an evaluation expands to the EvalConfig that a TFX user would write."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, text_format
from pydantic import ValidationError

from penstock.pipelines.config.evaluation import Evaluation, metric_names


@pytest.fixture(scope="module")
def tfma() -> Any:
    return importlib.import_module("tensorflow_model_analysis")


@pytest.fixture(scope="module")
def parse(tfma: Any) -> Callable[[str], Any]:
    from tensorflow_model_analysis.proto import config_pb2

    return lambda text: json_format.Parse(text, config_pb2.EvalConfig())


def test_short_form_is_what_tfxs_taxi_example_writes(parse: Callable[[str], Any]) -> None:
    """TFX's taxi_pipeline_native_keras.py, with a slice, a bound on the AUC and the metrics that suit more."""
    short = Evaluation.model_validate(
        {
            "label_key": "tips_xf",
            "slices": ["trip_start_hour"],
            "thresholds": {
                "binary_accuracy": {"min": 0.6, "change": {"absolute": -1e-10}, "every_slice": True},
                "auc": {"max": 0.99},
            },
        }
    )
    whole = """
      model_specs { signature_name: "serving_default" label_key: "tips_xf"
                    preprocessing_function_names: "transform_features" }
      slicing_specs {}
      slicing_specs { feature_keys: "trip_start_hour" }
      metrics_specs {
        metrics { class_name: "BinaryAccuracy" threshold {
          value_threshold { lower_bound { value: 0.6 } }
          change_threshold { absolute { value: -1e-10 } direction: HIGHER_IS_BETTER } } }
        metrics { class_name: "AUC" per_slice_thresholds {
          slicing_specs {} threshold { value_threshold { upper_bound { value: 0.99 } } } } } }
      metrics_specs {}
    """
    expected = text_format.Parse(whole, type(parse("{}"))())
    assert parse(short.text("tips")) == expected


@pytest.mark.parametrize("label_key", [None, "tips"])
def test_raw_label_needs_no_preprocessing(parse: Callable[[str], Any], label_key: str | None) -> None:
    spec = parse(Evaluation(metrics=["auc"], label_key=label_key).text("tips")).model_specs[0]
    assert spec.label_key == (label_key or ""), "what is left out is decided by the Evaluator"
    assert list(spec.preprocessing_function_names) == []
    spec = parse(Evaluation(metrics=["auc"], label_key=label_key).text("tips", "tips")).model_specs[0]
    assert spec.label_key == "tips"
    assert list(spec.preprocessing_function_names) == []


SUITING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {"metricsSpecs": [{}]}),
    "slices": ({"slices": ["a"]}, {"slicingSpecs": [{}, {"featureKeys": ["a"]}], "metricsSpecs": [{}]}),
    "metrics": ({"metrics": ["rmse"]}, {"metricsSpecs": [{"metrics": [{"className": "RootMeanSquaredError"}]}]}),
    "a margin": (
        {"thresholds": {"auc": {"better_than_trivial": 0}}},
        {"metricsSpecs": [{"metrics": [{"className": "AUC"}]}, {}]},
    ),
    "intervals": (
        {"confidence_intervals": "bootstrap", "min_slice_size": 9},
        {
            "metricsSpecs": [{}],
            "options": {
                "computeConfidenceIntervals": True,
                "confidenceIntervals": {"method": "POISSON_BOOTSTRAP"},
                "minSliceSize": 9,
            },
        },
    ),
}


@pytest.mark.parametrize("case", SUITING)
def test_every_part_of_the_short_form_works_alone(parse: Callable[[str], Any], case: str) -> None:
    """An empty MetricsSpec stands for the metrics that suit the model."""
    written, expected = SUITING[case]
    config = json_format.MessageToDict(parse(Evaluation.model_validate(written).text("y")))
    overall = {"modelSpecs": [{"signatureName": "serving_default"}], "slicingSpecs": [{}]}
    assert config == overall | expected


@pytest.mark.parametrize(
    ("written", "rows"), [({}, None), ({"importance": {"rows": 50}}, 50), ({"importance": None}, 0)]
)
def test_importance_can_be_left_out_or_be_of_more_rows(written: dict[str, Any], rows: int | None) -> None:
    assert Evaluation.model_validate(written).importance_rows == rows


def test_margins_over_the_trivial_model_are_beside_the_eval_config() -> None:
    written = {
        "auc": {"min": 0.6, "better_than_trivial": 0.05},
        "rmse": {"better_than_trivial": {"relative": 0.1}, "every_slice": True},
        "mae": {"max": 3},
    }
    margins = json.loads(Evaluation.model_validate({"thresholds": written}).margins)
    assert margins == {"AUC": {"absolute": 0.05}, "RootMeanSquaredError": {"relative": 0.1, "every_slice": True}}
    assert Evaluation(metrics=["auc"]).margins == ""


def test_slices(parse: Callable[[str], Any]) -> None:
    config = parse(Evaluation(metrics=["auc"], slices=["a", ["a", "b"], {"c": 3}]).text("y"))
    overall, one, crossed, value = config.slicing_specs
    assert overall == type(overall)()
    assert (list(one.feature_keys), list(crossed.feature_keys)) == (["a"], ["a", "b"])
    assert dict(value.feature_values) == {"c": "3"}


@pytest.mark.parametrize(
    ("metric", "direction"),
    [("mean_squared_error", "LOWER_IS_BETTER"), ("auc", "HIGHER_IS_BETTER"), ("fpr", "LOWER_IS_BETTER")],
)
def test_direction_of_a_change_follows_the_metric(parse: Callable[[str], Any], metric: str, direction: str) -> None:
    given = Evaluation.model_validate({"thresholds": {metric: {"change": {"relative": 0.01}}}})
    threshold = json_format.MessageToDict(parse(given.text("y")))["metricsSpecs"][0]["metrics"][0]["threshold"]
    assert threshold == {"changeThreshold": {"relative": 0.01, "direction": direction}}


def test_metrics_with_a_config_are_bounded_by_their_own_name(parse: Callable[[str], Any]) -> None:
    metric = {"class_name": "AUC", "config": {"name": "auc_pr", "curve": "PR"}}
    given = Evaluation.model_validate({"metrics": ["auc", metric], "thresholds": {"auc_pr": {"min": 0.2}}})
    plain, bounded = parse(given.text("y")).metrics_specs[0].metrics
    assert not plain.HasField("threshold")
    assert json.loads(bounded.config) == {"name": "auc_pr", "curve": "PR"}
    assert bounded.threshold.value_threshold.lower_bound.value == 0.2


def test_every_metric_is_known_to_tfma(tfma: Any) -> None:
    from tensorflow_model_analysis.metrics import metric_types
    from tensorflow_model_analysis.utils.keras_lib import tf_keras

    known = {*metric_types.registered_metrics(), *vars(tf_keras.metrics), *vars(tf_keras.losses)}
    assert [name for name in metric_names.METRICS if name not in known] == []


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "model_specs:\n- label_key: y\nmetrics_specs:\n- metrics:\n  - class_name: AUC\n"),
        (".json", '{"modelSpecs": [{"labelKey": "y"}], "metricsSpecs": [{"metrics": [{"className": "AUC"}]}]}'),
        (".pbtxt", 'model_specs { label_key: "y" } metrics_specs { metrics { class_name: "AUC" } }'),
    ],
)
def test_eval_config_of_a_file(parse: Callable[[str], Any], tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"eval{suffix}"
    path.write_text(text)
    given = Evaluation.model_validate({"eval_config": path.name}, context={"folder": tmp_path}).text("label")
    config = text_format.Parse(given, type(parse("{}"))()) if suffix == ".pbtxt" else parse(given)
    assert config.model_specs[0].label_key == "y"
    assert config.metrics_specs[0].metrics[0].class_name == "AUC"


@pytest.mark.parametrize(("suffix", "text"), [(".json", '{"modelSpec": []}'), (".pbtxt", "model_spec {}")])
def test_wrong_eval_config_is_told_when_it_is_read(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"eval{suffix}"
    path.write_text(text)
    with pytest.raises(ValidationError, match=r"expected a tfma.EvalConfig: .*modelSpec|model_spec"):
        Evaluation.model_validate({"eval_config": str(path)})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metrics": ["accuracy"]}, "unknown metric 'accuracy'"),
        ({"metrics": ["aucc"]}, "did you mean 'AUC'"),
        ({"thresholds": {"auk": {"min": 1}}}, "did you mean 'AUC'"),
        ({"thresholds": {"auc": {}}}, "expected at least one of `min`, `max`, `change` and"),
        ({"thresholds": {"auc": {"change": {}}}}, "expected `absolute` or `relative`"),
        ({"metrics": [{"name": "auc"}]}, "a mapping with class_name"),
        ({"thresholds": {"auc": {"better_than_trivial": -0.1}}}, "greater than or equal to 0"),
        ({"thresholds": {"auc": {"better_than_trivial": {}}}}, "expected `absolute` or `relative`"),
        ({"confidence_intervals": "wald"}, "'jackknife' or 'bootstrap'"),
    ],
)
def test_mistakes(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Evaluation.model_validate(given)

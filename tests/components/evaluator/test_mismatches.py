"""What does not fit is told before any example is read: the examples here are no examples at all."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.extractors import sql_slice_key_extractor

from penstock.components.evaluator import eval_config as eval_configs
from penstock.core import artifacts
from penstock.core.errors import ConfigError, DataError, ModelError, UserError
from penstock.core.examples import records
from tests.components.evaluator.conftest import Evaluated, Penguins

SCHEMA = "feature { name: 'male' type: INT } feature { name: 'year' type: FLOAT }"
METRICS = "metrics_specs: [{metrics: [{class_name: AUC}]}]"
MALE = "model_specs: [{label_key: male}]\n"


def test_what_fits_is_read(evaluate: Callable[..., Evaluated], garbage: str) -> None:
    with pytest.raises(DataError, match="record 1 is damaged"):
        evaluate(f"model_specs: [{{label_key: male}}]\n{METRICS}", examples=garbage)


@pytest.mark.parametrize(
    ("eval_config", "error", "message"),
    [
        (
            f"model_specs: [{{label_key: mael}}]\n{METRICS}",
            ModelError,
            "label_key: .* no feature 'mael'; did you mean 'male'",
        ),
        (
            f"model_specs: [{{label_key: male_x, preprocessing_function_names: [transform_features]}}]\n{METRICS}",
            ModelError,
            "label_key: the examples and the model's preprocessing functions .* 'male_x'; did you mean 'male_xf'",
        ),
        (
            f"model_specs: [{{label_key: male, example_weight_key: wieght}}]\n{METRICS}",
            ModelError,
            "example_weight_key: .* no feature 'wieght'; did you mean 'weight'",
        ),
        (
            f"model_specs: [{{label_key: male, signature_name: serve}}]\n{METRICS}",
            ModelError,
            "signature_name: the model has no signature 'serve': expected one of serving_default, transform_features",
        ),
        (
            f"model_specs: [{{label_key: male, preprocessing_function_names: [tft]}}]\n{METRICS}",
            ModelError,
            "preprocessing_function_names: the model has no signature 'tft'",
        ),
        (
            f"model_specs: [{{label_key: male}}]\nslicing_specs: [{{feature_keys: [iland]}}]\n{METRICS}",
            ModelError,
            "slicing_specs: the examples have no feature 'iland'; did you mean 'island'",
        ),
        (
            f"model_specs: [{{label_key: male}}]\ncross_slicing_specs: [{{baseline_spec: {{}}, "
            f"slicing_specs: [{{feature_values: {{yaer: '2008'}}}}]}}]\n{METRICS}",
            ModelError,
            "cross_slicing_specs: the examples have no feature 'yaer'; did you mean 'year'",
        ),
        (
            "model_specs: [{label_key: male}]\nmetrics_specs: [{metrics: [{class_name: Acu}]}]",
            ConfigError,
            "unknown metric 'Acu'; did you mean 'AUC'",
        ),
        (
            MALE + "metrics_specs: [{metrics: [{class_name: AUC, config: '{\"tresholds\": 3}'}]}]",
            ConfigError,
            "metrics_specs: .*tresholds",
        ),
        (
            "model_specs: [{label_key: male}]\nmetrics_specs: [{aggregate: {macro_average: true}, "
            "metrics: [{class_name: AUC}]}]",
            ConfigError,
            "metrics_specs: class_weights are required",
        ),
        (
            f"model_specs: [{{label_key: male, example_weight_key: island}}]\n{METRICS}",
            ModelError,
            "example_weight_key: feature 'island' holds text: expected numbers",
        ),
        (
            MALE + "metrics_specs: [{query_key: iland, metrics: [{class_name: QueryStatistics}]}]",
            ModelError,
            "query_key: the examples have no feature 'iland'; did you mean 'island'",
        ),
        (
            MALE + "metrics_specs: [{metrics: [{class_name: AUC, per_slice_thresholds: [{slicing_specs: "
            "[{feature_keys: [iland]}], threshold: {value_threshold: {lower_bound: 0.5}}}]}]}]",
            ModelError,
            "per_slice_thresholds: the examples have no feature 'iland'; did you mean 'island'",
        ),
        (
            MALE + "metrics_specs: [{metrics: [{class_name: AUC, per_slice_thresholds: [{slicing_specs: "
            "[{feature_keys: [island]}], threshold: {value_threshold: {lower_bound: 0.5}}}]}]}]",
            ConfigError,
            "per_slice_thresholds: expected a slice that slicing_specs make, received island",
        ),
        (
            MALE + "metrics_specs: [{metrics: [{class_name: AUC, cross_slice_thresholds: [{cross_slicing_specs: "
            "[{baseline_spec: {}, slicing_specs: [{feature_keys: [island]}]}], "
            "threshold: {value_threshold: {lower_bound: 0.5}}}]}]}]",
            ConfigError,
            "cross_slice_thresholds: .* cross_slicing_specs, received island against the overall slice",
        ),
        (
            MALE + "metrics_specs: [{metrics: [{class_name: AUC, "
            "threshold: {change_threshold: {absolute: 0.1}}}]}]",
            ConfigError,
            "change_threshold: direction: expected HIGHER_IS_BETTER or LOWER_IS_BETTER",
        ),
        (
            MALE + "metrics_specs: [{metrics: [{class_name: AUC}], "
            "thresholds: {auc: {value_threshold: {lower_bound: 0.5}}}}]",
            ConfigError,
            "'auc' has a threshold but is not a metric that is computed: expected `threshold` beside the class_name",
        ),
        *(
            (
                MALE + f"metrics_specs: [{{metrics: [{{class_name: {metric}, config: '{settings}', "
                "threshold: {value_threshold: {lower_bound: 0.5}}}]}]",
                ConfigError,
                f"{metric} has a threshold but is several numbers",
            )
            for metric, settings in [
                ("Recall", '{"thresholds": [0.3, 0.7]}'),
                ("ConfusionMatrixAtThresholds", '{"thresholds": [0.5]}'),
                ("CalibrationPlot", "{}"),
            ]
        ),
        (f"model_specs: [{{model_type: tf_kears}}]\n{METRICS}", ModelError, "model_type: .* received 'tf_kears'"),
        (f"model_specs: [{{is_baseline: true}}]\n{METRICS}", ConfigError, "expected one that is not a baseline"),
        (
            f"model_specs: [{{name: a}}, {{name: a, is_baseline: true}}]\n{METRICS}",
            ConfigError,
            "expected two different names",
        ),
        (
            "model_specs: [{name: a}, {name: b, is_baseline: true}]\n"
            "metrics_specs: [{model_names: [c], metrics: [{class_name: AUC}]}]",
            ConfigError,
            "model_names: no model_spec is named 'c': expected a, b",
        ),
        (
            MALE + "slicing_specs: [{slice_keys_sql: 'SELECT STRUCT(island)'}]\n" + METRICS,
            ConfigError,
            "slice_keys_sql: this tfx-bsl has no SQL",
        ),
        (f"model_specs: [{{}}, {{}}, {{}}]\n{METRICS}", ConfigError, "expected one or two model_specs, received 3"),
        (f"model_specs: [{{label: male}}]\n{METRICS}", ConfigError, "expected a tfma.EvalConfig: .*label"),
        ("model_specs { label_key: 'male'", ConfigError, "expected a tfma.EvalConfig"),
        ("- male", ConfigError, "expected a tfma.EvalConfig"),
    ],
)  # fmt: skip
def test_a_mismatch_is_told_before_anything_is_read(
    eval_config: str, error: type[UserError], message: str, evaluate: Callable[..., Evaluated], garbage: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        evaluate(eval_config, examples=garbage)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message, "one sentence"


@pytest.mark.parametrize(
    ("spec", "metrics", "message"),
    [
        (
            "{label_key: male, prediction_key: sx}",
            "",
            "prediction_key: the model has no output 'sx'; did you mean 'sex'",
        ),
        ("{label_keys: {sx: male}}", "", "label_keys: the model has no output 'sx'; did you mean 'sex'"),
        (
            "{label_keys: {sex: male, species: species_id}}",
            "output_names: [spices], ",
            "output_names: the model has no output 'spices'; did you mean 'species'",
        ),
    ],
)
def test_an_output_that_a_model_does_not_have_is_told(
    spec: str, metrics: str, message: str, evaluate: Callable[..., Evaluated], garbage: str
) -> None:
    config = f"model_specs: [{spec}]\nmetrics_specs: [{{{metrics}metrics: [{{class_name: AUC}}]}}]"
    with pytest.raises(ModelError, match=message):
        evaluate(config, "both", examples=garbage)


def test_a_signature_is_looked_for_in_the_model_that_is_to_have_it(
    evaluate: Callable[..., Evaluated], garbage: str, penguins: Penguins
) -> None:
    config = (
        "model_specs: [{name: new, label_key: male}, {name: old, label_key: male, is_baseline: true, "
        f"signature_name: predict}}]\n{METRICS}"
    )
    with pytest.raises(ModelError, match=r"the baseline model at .*/worse/.* has no signature 'predict'"):
        evaluate(config, "sex", "worse", examples=garbage)


def test_a_split_that_is_not_there_is_told(evaluate: Callable[..., Evaluated]) -> None:
    with pytest.raises(DataError, match="split 'holdout' does not exist: expected one of eval, test"):
        evaluate(f"model_specs: [{{label_key: male}}]\n{METRICS}", example_splits=["eval", "holdout"])


def test_a_model_without_a_savedmodel_is_told(
    evaluate: Callable[..., Evaluated], penguins: Penguins, tmp_path: Path
) -> None:
    penguins.models["none"] = tmp_path
    with pytest.raises(
        ModelError, match=r"no model at .*: expected saved_model\.pb, or other files, written by run_fn"
    ):
        evaluate(f"model_specs: [{{label_key: male}}]\n{METRICS}", "none")


def test_a_split_without_examples_is_told(evaluate: Callable[..., Evaluated], tmp_path: Path) -> None:
    records.write(artifacts.Examples(tmp_path / "none").shard("eval", 0, 1), [])
    with pytest.raises(DataError, match="split eval has no examples to evaluate on"):
        evaluate(f"model_specs: [{{label_key: male}}]\n{METRICS}", examples=str(tmp_path / "none"))


def test_a_metric_that_cannot_take_the_labels_is_told(evaluate: Callable[..., Evaluated]) -> None:
    with pytest.raises(ModelError, match="a metric does not fit the labels and predictions: "):
        evaluate(f"model_specs: [{{label_key: mass}}]\n{METRICS}", "mass")


@pytest.mark.parametrize("baseline", [None, "worse"])
def test_examples_that_a_model_cannot_take_are_told(
    baseline: str | None, evaluate: Callable[..., Evaluated], write_examples: Callable[..., Path]
) -> None:
    """The years are fractions here, as where one row lacks its year, and the models were trained on integers."""
    examples = write_examples({"eval": {"male": [1, 0], "year": [2007.0, 2008.5]}})
    schema = artifacts.Schema(examples / "schema")
    schema.write(text_format.Parse(SCHEMA, schema_pb2.Schema()))
    config = f"model_specs: [{{label_key: male}}]\n{METRICS}"
    with pytest.raises(ModelError, match=r"model cannot take these examples: signature .*year.*expected type: int64"):
        evaluate(config, "sex", baseline, examples=str(examples), schema=str(schema.root))


def test_a_baseline_that_cannot_take_the_examples_is_named(
    evaluate: Callable[..., Evaluated], penguins: Penguins, tmp_path: Path
) -> None:
    class Older(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
            feature = tf.io.FixedLenFeature([], tf.float32)
            return {"outputs": tf.io.parse_example(examples, {"year": feature})["year"][:, None]}

    older = Older()
    folder = artifacts.Model(tmp_path / "older").serving
    tf.saved_model.save(older, str(folder), signatures={"serving_default": older.serve})
    penguins.models["older"] = tmp_path / "older"
    expected = f"the baseline model at {folder} cannot take these examples: .*year.*; for a different kind of data"
    with pytest.raises(ModelError, match=expected):
        evaluate(f"{MALE}{METRICS}", "sex", "older")


def saved(folder: Path, outputs: Callable[[tf.Tensor], dict[str, tf.Tensor]]) -> Path:
    signature = tf.function(outputs, input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    tf.saved_model.save(tf.Module(), str(artifacts.Model(folder).serving), signatures={"serving_default": signature})
    return folder


@pytest.mark.slow
def test_the_record_that_a_model_cannot_take_is_named(
    evaluate: Callable[..., Evaluated], penguins: Penguins, tmp_path: Path, write_examples: Callable[..., Path]
) -> None:
    spec = {"mass": tf.io.FixedLenFeature([], tf.float32)}
    penguins.models["strict"] = saved(
        tmp_path / "strict", lambda examples: {"outputs": tf.io.parse_example(examples, spec)["mass"][:, None]}
    )
    examples = write_examples({"eval": {"male": [1, 0, 1, 0], "mass": [1.5, 2.5, None, 3.5]}})
    schema = artifacts.Schema(examples / "schema")
    schema.write(text_format.Parse(SCHEMA + "feature { name: 'mass' type: FLOAT }", schema_pb2.Schema()))
    expected = r"signature 'serving_default': .*mass.*required.*\(record 3 of .*data_tfrecord"
    with pytest.raises(ModelError, match=expected):
        evaluate(f"{MALE}{METRICS}", "strict", examples=str(examples), schema=str(schema.root))


@pytest.mark.slow
def test_an_output_of_another_size_than_the_batch_is_told(
    evaluate: Callable[..., Evaluated], penguins: Penguins, tmp_path: Path
) -> None:
    """The graph alone does not tell its size."""
    penguins.models["seven"] = saved(
        tmp_path / "seven", lambda examples: {"outputs": tf.ones([7 + 0 * tf.size(examples)])}
    )
    expected = r"output 'outputs': expected a value for each example, received the shape \(7,\)"
    with pytest.raises(ModelError, match=expected):
        evaluate(f"{MALE}{METRICS}", "seven")


@pytest.mark.slow
def test_the_mean_squared_error_is_what_it_is(evaluate: Callable[..., Evaluated], penguins: Penguins) -> None:
    """TFMA 0.52 counts the first of several merged accumulators twice; numpy does not."""
    config = "model_specs: [{label_key: mass}]\nmetrics_specs: [{metrics: [{class_name: MeanSquaredError}]}]"
    evaluated = evaluate(config, "mass")
    files = artifacts.Examples(penguins.examples).files("eval")
    rows = [row for file in files for batch in records.read(file) for row in batch]
    model = tf.saved_model.load(str(penguins.models["mass"] / "Format-Serving"))
    predicted = model.signatures["serving_default"](examples=tf.constant(rows))["outputs"].numpy()[:, 0]
    masses = [tf.train.Example.FromString(row).features.feature["mass"].float_list.value[0] for row in rows]
    (slices,) = tfma.load_eval_result(str(evaluated.evaluation)).slicing_metrics
    found = slices[1][""][""]["mean_squared_error"]["doubleValue"]
    assert found == pytest.approx(np.mean((predicted - np.array(masses)) ** 2), rel=1e-6)


YAML = MALE + "metrics_specs: [{metrics: [{class_name: AUC, config: '{\"num_thresholds\": 9}'}]}]"


@pytest.mark.parametrize(
    "notation",
    [
        '{"modelSpecs": [{"labelKey": "male"}], '
        '"metricsSpecs": [{"metrics": [{"className": "AUC", "config": "{\\"num_thresholds\\": 9}"}]}]}',
        '{\n\t"model_specs": [{"label_key": "male"}],\n'
        '\t"metrics_specs": [{"metrics": [{"class_name": "AUC", "config": "{\\"num_thresholds\\": 9}"}]}]\n}',
        "model_specs { label_key: 'male' } "
        "metrics_specs { metrics { class_name: 'AUC' config: '{\"num_thresholds\": 9}' } }",
        # The text form that YAML can read as well.
        'model_specs: {label_key: "male"}\n'
        "metrics_specs: {metrics: {class_name: 'AUC', config: '{\"num_thresholds\": 9}'}}",
    ],
    ids=["JSON", "JSON with tabs", "text", "text with colons"],
)
def test_the_notations_mean_the_same(notation: str) -> None:
    assert eval_configs.parse(notation) == eval_configs.parse(YAML)
    assert eval_configs.parse(YAML).metrics_specs[0].metrics[0].config == '{"num_thresholds": 9}'


def test_what_the_text_form_repeats_is_not_lost() -> None:
    """YAML would keep the last metrics_specs only, and with it lose a threshold."""
    text = "".join(f"metrics_specs: {{metrics: {{class_name: '{name}'}}}}\n" for name in ("AUC", "Recall"))
    assert [spec.metrics[0].class_name for spec in eval_configs.parse(text).metrics_specs] == ["AUC", "Recall"]
    with pytest.raises(ConfigError, match=r"expected a tfma\.EvalConfig"):
        eval_configs.parse("metrics_specs: [{metrics: [{class_name: AUC}]}]\nmetrics_specs: []")


def test_the_mock_that_tfx_has_of_sql_is_no_sql(
    evaluate: Callable[..., Evaluated], garbage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`import tfx` puts a mock in the place of what this tfx-bsl lacks, which gives slices of nothing."""
    monkeypatch.setattr(sql_slice_key_extractor, "sql_util", MagicMock())
    with pytest.raises(ConfigError, match="this tfx-bsl has no SQL"):
        evaluate(MALE + "slicing_specs: [{slice_keys_sql: 'SELECT STRUCT(island)'}]\n" + METRICS, examples=garbage)

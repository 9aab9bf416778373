"""The Evaluator against TFMA: the same metrics and plots for every slice as TFMA's own Beam pipeline."""

import json
import math
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from penstock.core import artifacts
from tests.components.evaluator.conftest import Evaluated, Oracle, Penguins

SLICES = """
slicing_specs: [{}, {feature_keys: [island]}, {feature_keys: [island, year]}, {feature_keys: [sex]},
  {feature_values: {sex: male}}, {feature_keys: [species], feature_values: {year: "2008"}}]
"""
BINARY = """
metrics: [{class_name: ExampleCount}, {class_name: AUC}, {class_name: BinaryAccuracy}, {class_name: Precision},
  {class_name: Recall, config: '{"thresholds": [0.3, 0.7]}'}, {class_name: Calibration}, {class_name: MeanLabel},
  {class_name: MeanPrediction}, {class_name: MatthewsCorrelationCoefficient}, {class_name: BinaryCrossentropy},
  {class_name: ConfusionMatrixAtThresholds, config: '{"thresholds": [0.25, 0.5]}'}, {class_name: CalibrationPlot},
  {class_name: ConfusionMatrixPlot}, {class_name: FalsePositives}, {class_name: CoefficientOfDiscrimination}]
"""
MULTICLASS = """
metrics: [{class_name: SparseCategoricalAccuracy}, {class_name: SparseCategoricalCrossentropy},
  {class_name: MultiClassConfusionMatrixPlot}, {class_name: ExampleCount}]
"""
REGRESSION = """
metrics: [{class_name: MeanSquaredError}, {class_name: RootMeanSquaredError}, {class_name: MeanAbsoluteError},
  {class_name: SquaredPearsonCorrelation}, {class_name: MeanLabel}, {class_name: MeanPrediction},
  {class_name: MeanAbsolutePercentageError}, {class_name: Calibration}]
"""
# What differs between the cases below is what is evaluated; one case has all metrics and slices.
FEW = """
metrics: [{class_name: ExampleCount}, {class_name: AUC, config: '{"num_thresholds": 50}'}, {class_name: MeanLabel},
  {class_name: BinaryAccuracy}, {class_name: BinaryCrossentropy}]
"""
ISLANDS = "\nslicing_specs: [{}, {feature_keys: [island]}]\n"
BASELINE = "model_specs: [{name: candidate, label_key: male}, {name: base, label_key: male, is_baseline: true}]"

# The models that a case evaluates, and its EvalConfig.
CASES: dict[str, tuple[tuple[str, ...], str]] = {
    "binary": (("sex",), f"model_specs: [{{label_key: male}}]\nmetrics_specs: [{{{BINARY}}}]{SLICES}"),
    "weighted": (
        ("sex",),
        "model_specs: [{label_key: male, example_weight_key: weight}]\n"
        f"metrics_specs: [{{{BINARY.replace('}]', '}, {class_name: WeightedExampleCount}]')}}}]{ISLANDS}",
    ),
    "multi-class": (
        ("species",),
        f"model_specs: [{{label_key: species_id}}]\nmetrics_specs: [{{{MULTICLASS}}}, "
        "{binarize: {class_ids: {values: [0, 2]}}, metrics: [{class_name: AUC}, {class_name: Precision}]}, "
        "{aggregate: {macro_average: true, class_weights: {0: 1, 1: 1, 2: 1}}, metrics: [{class_name: AUC}]}, "
        "{binarize: {top_k_list: {values: [1, 2]}}, metrics: [{class_name: Precision}, {class_name: Recall}]}]"
        f"{SLICES}",
    ),
    "regression": (("mass",), f"model_specs: [{{label_key: mass}}]\nmetrics_specs: [{{{REGRESSION}}}]{SLICES}"),
    "baseline": (("sex", "worse"), f"{BASELINE}\nmetrics_specs: [{{{BINARY}}}]{ISLANDS}"),
    "small slices": (
        ("sex", "worse"),
        f"{BASELINE}\nmetrics_specs: [{{{FEW}}}]\noptions: {{min_slice_size: 40}}\n"
        "slicing_specs: [{}, {feature_keys: [species, island]}, {feature_values: {year: '1999'}}]",
    ),
    "one output of two": (
        ("both",),
        f"model_specs: [{{label_key: male, prediction_key: sex}}]\nmetrics_specs: [{{{FEW}}}]{ISLANDS}",
    ),
    "two outputs": (
        ("both",),
        "model_specs: [{label_keys: {sex: male, species: species_id}}]\n"
        "metrics_specs: [{output_names: [sex], metrics: [{class_name: AUC}]}, "
        f"{{output_names: [species], metrics: [{{class_name: SparseCategoricalAccuracy}}]}}]{SLICES}",
    ),
    "transformed label": (
        ("sex",),
        "model_specs: [{label_key: male_xf, preprocessing_function_names: [transform_features]}]\n"
        f"metrics_specs: [{{{FEW}}}]{ISLANDS}",
    ),
    "slices of transformed features": (
        ("sex", "worse"),
        "model_specs: [{label_key: male_xf, preprocessing_function_names: [transform_features]}]\n"
        "metrics_specs: [{metrics: [{class_name: AUC}, {class_name: ExampleCount}]}]\n"
        "slicing_specs: [{}, {feature_keys: [male_xf]}, {feature_keys: [island], feature_values: {male_xf: '1'}}]",
    ),
    "features of several values": (
        ("sex",),
        "model_specs: [{label_key: male}]\nmetrics_specs: [{metrics: [{class_name: AUC}, {class_name: ExampleCount}]}]"
        "\nslicing_specs: [{}, {feature_keys: [words]}, {feature_keys: [words, sex]}, {feature_values: {words: a}}]",
    ),
    "cross slices": (
        ("sex",),
        f"model_specs: [{{label_key: male}}]\nmetrics_specs: [{{{FEW}}}]\n"
        "slicing_specs: [{}]\ncross_slicing_specs: [{baseline_spec: {feature_values: {island: Biscoe}}, "
        "slicing_specs: [{feature_keys: [species]}, {feature_values: {island: Dream}}]}]",
    ),
}


def contents(evaluation: Path) -> dict[tuple[str, str, str], Any]:
    """Returns every metric and plot by kind, slice and key."""
    found: dict[tuple[str, str, str], Any] = {}
    for kind, load, field in (
        ("metric", writer.load_and_deserialize_metrics, "metric_keys_and_values"),
        ("plot", writer.load_and_deserialize_plots, "plot_keys_and_values"),
    ):
        for part in load(str(evaluation)):
            for entry in getattr(part, field):
                key = (kind, _text(part.slice_key) + _text(part.cross_slice_key), _text(entry.key))
                assert key not in found
                found[key] = json_format.MessageToDict(entry.value)
    return found


def _text(message: Any) -> str:
    return json_format.MessageToJson(message, indent=None, sort_keys=True)


def assert_equal(ours: Any, theirs: Any, where: Any) -> None:
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), where
        for key in theirs:
            assert_equal(ours[key], theirs[key], (where, key))
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        for number, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(*pair, (where, number))
    elif isinstance(theirs, float) and not math.isnan(theirs):
        # A difference of two metrics keeps their rounding error and loses their size: it is as exact as they are.
        exact = 1e-6 if '"isDiff": true' in str(where) else 1e-9
        assert ours == pytest.approx(theirs, rel=1e-6, abs=exact), where
    else:
        assert str(ours) == str(theirs), where


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from numbers(inner)
    elif isinstance(value, float):
        yield value


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_metrics_and_plots_are_tfmas(case: str, oracle: Oracle, evaluate: Callable[..., Evaluated]) -> None:
    models, config = CASES[case]
    expected = oracle.ask(config, *models)
    evaluated = evaluate(config, *models)
    folder = expected()
    ours, theirs = contents(evaluated.evaluation), contents(folder)
    assert ours.keys() == theirs.keys()
    assert len(theirs) > 4
    assert len({round(number, 6) for value in theirs.values() for number in numbers(value)}) > 4, "values that differ"
    for key in theirs:
        assert_equal(ours[key], theirs[key], key)
    loaded = tfma.load_eval_result(str(evaluated.evaluation), model_name="candidate" if len(models) > 1 else None)
    assert {str(name) for name, _ in loaded.slicing_metrics} >= {"()"}
    assert names(evaluated.evaluation) == sorted([*names(folder), "summary.json"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_the_labels_domain_is_nothing_to_a_metric(
    evaluate: Callable[..., Evaluated], penguins: Penguins, tmp_path: Path
) -> None:
    """TFX's Evaluator has the schema only to read the examples; TFMA would plot from -5 to 5 with this one."""
    config = """
model_specs: [{label_key: male}]
metrics_specs: [{metrics: [{class_name: CalibrationPlot, config: '{"num_buckets": 4}'}]}]
"""
    schema = artifacts.Schema(penguins.schema).read()
    label = next(feature for feature in schema.feature if feature.name == "male")
    label.int_domain.min, label.int_domain.max = -5, 5
    with_domain = artifacts.Schema(tmp_path / "schema")
    with_domain.write(schema)
    evaluated = evaluate(config, schema=str(with_domain.root))
    ((_, plots),) = tfma.load_eval_result(str(evaluated.evaluation)).plots
    buckets = plots[""][""]["calibrationHistogramBuckets"]["buckets"]
    assert [bucket.get("lowerThresholdInclusive", 0.0) for bucket in buckets[1:]] == [0.0, 0.25, 0.5, 0.75, 1.0]


PROGRAM = """
import json, sys
from penstock.components.engines import fold
from penstock.components.evaluator import executor, predictions

predictions._BATCH_SIZE, fold._CUT_BYTES = 32, 3000
executor.run(**json.loads(sys.argv[1]))
"""


@pytest.mark.slow
def test_the_bytes_are_the_same_for_any_number_of_workers(
    penguins: Penguins, oracle: Oracle, python: str, tmp_path: Path
) -> None:
    """The files are cut into stripes of several batches here, as large files are; a worker takes several stripes."""
    models, config = CASES["features of several values"]
    expected = oracle.ask(config, *models)
    inputs = {"examples": str(penguins.examples), "schema": str(penguins.schema), "eval_config": config}
    processes = []
    for workers in (1, 2, 3):
        outputs = {
            name: str(tmp_path / str(workers) / name) for name in ("evaluation", "blessing", "validation", "report")
        }
        arguments = {**inputs, **outputs, "model": str(penguins.models[models[0]]), "engine": f"local:{workers}"}
        program = [python, "-W", "ignore", "-c", PROGRAM, json.dumps(arguments)]
        processes.append(subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    one, two, three = (tmp_path / str(workers) / "evaluation" for workers in (1, 2, 3))
    assert len(names(one)) > 3
    for name in names(one):
        assert (one / name).read_bytes() == (two / name).read_bytes() == (three / name).read_bytes(), name
    ours, theirs = contents(one), contents(expected())
    assert ours.keys() == theirs.keys()
    for key in theirs:
        assert_equal(ours[key], theirs[key], key)

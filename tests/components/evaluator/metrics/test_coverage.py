"""Each covered metric against TFMA's combiner, example by example, over data with ties, NaN, weights and odd slices."""

import copy
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import yaml
from google.protobuf import json_format
from sklearn.metrics import r2_score
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import Extracts, VarLenTensorValue
from tensorflow_model_analysis.metrics.metric_types import MetricsDict, StandardMetricInputs
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.utils import config_util, util

from penstock.components.evaluator import results
from penstock.components.evaluator.metrics import coverage
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.slices import Memberships
from penstock.components.evaluator.tfma import defects

ROWS, BATCHES, SLICES = 30, 2, 5  # slices: all, about a half, one example, the negatives, and none
OVER_CLASSES = (
    "metrics: [{class_name: AUC, config: '{\"num_thresholds\": 30}'}, {class_name: Precision}, {class_name: Recall}, "
    "{class_name: F1Score}]"
)
BINARY = """
metrics_specs: [{metrics: [{class_name: ExampleCount}, {class_name: WeightedExampleCount}, {class_name: AUC},
  {class_name: BinaryAccuracy}, {class_name: Recall}, {class_name: F1Score}, {class_name: BinaryCrossentropy},
  {class_name: BinaryCrossEntropy}, {class_name: Calibration}, {class_name: MeanLabel}, {class_name: MeanPrediction},
  {class_name: BinaryCrossEntropy, config: '{"from_logits": true, "label_smoothing": 0.1, "name": "logits"}'},
  {class_name: ConfusionMatrixAtThresholds, config: '{"thresholds": [0.25, 0.5, 0.7]}'}, {class_name: CalibrationPlot},
  {class_name: CalibrationPlot, config: '{"left": -3, "right": 3, "name": "wide"}'}]}]
"""
PLOTS = """
metrics_specs: [{metrics: [{class_name: ScoreDistributionPlot, config: '{"num_thresholds": 20}'}, {class_name: Hinge},
  {class_name: ConfusionMatrixPlot, config: '{"num_thresholds": 20}'}, {class_name: AUCPrecisionRecall}]}]
"""
MULTICLASS = f"""
metrics_specs: [{{metrics: [{{class_name: SparseCategoricalAccuracy}}, {{class_name: SparseCategoricalCrossentropy}},
  {{class_name: SparseTopKCategoricalAccuracy, config: '{{"k": 2}}'}}, {{class_name: MultiClassConfusionMatrixPlot}},
  {{class_name: MultiClassConfusionMatrixAtThresholds, config: '{{"thresholds": [0.2, 0.5, 0.4]}}'}}]}},
  {{binarize: {{class_ids: {{values: [0, 2]}}}}, {OVER_CLASSES}}},
  {{binarize: {{k_list: {{values: [1, 2]}}}}, metrics: [{{class_name: Precision}}, {{class_name: MeanLabel}}]}},
  {{binarize: {{top_k_list: {{values: [2]}}}}, metrics: [{{class_name: Precision}}, {{class_name: Recall}}]}},
  {{aggregate: {{macro_average: true, class_weights: {{0: 1, 1: 1, 2: 1}}}}, {OVER_CLASSES}}},
  {{aggregate: {{weighted_macro_average: true, class_weights: {{0: 1, 1: 1, 2: 1}}}}, {OVER_CLASSES}}},
  {{aggregate: {{micro_average: true}}, metrics: [{{class_name: BalancedAccuracy}}, {{class_name: Precision}},
    {{class_name: CategoricalAccuracy}}]}},
  {{aggregate: {{micro_average: true, class_weights: {{0: 0.5, 2: 2}}}}, metrics: [{{class_name: Recall}}]}}]
"""
ONE_HOT = """
metrics_specs: [{metrics: [{class_name: CategoricalAccuracy}, {class_name: CategoricalCrossentropy},
  {class_name: CategoricalCrossEntropy}, {class_name: TopKCategoricalAccuracy, config: '{"k": 2}'},
  {class_name: MultiClassConfusionMatrixPlot}, {class_name: MeanSquaredError},
  {class_name: CategoricalCrossEntropy, config: '{"from_logits": true, "label_smoothing": 0.1, "name": "logits"}'}]},
  {binarize: {class_ids: {values: [1]}}, metrics: [{class_name: AUC}]}]
"""
TEXT = """
metrics_specs: [{metrics: [{class_name: ExampleCount}, {class_name: MultiClassConfusionMatrixPlot}]},
  {binarize: {class_ids: {values: [1]}}, metrics: [{class_name: AUC}, {class_name: Precision}]}]
"""
REGRESSION = """
metrics_specs: [{metrics: [{class_name: MeanSquaredError}, {class_name: RootMeanSquaredError},
  {class_name: MeanAbsoluteError}, {class_name: MeanAbsolutePercentageError},
  {class_name: MeanSquaredLogarithmicError}, {class_name: SquaredPearsonCorrelation}, {class_name: MeanLabel},
  {class_name: MeanPrediction}, {class_name: Calibration}]}]
"""


class Data:
    """Batches of labels, predictions and weights, the same for each run; what is said replaces some of it."""

    def __init__(self, kind: str) -> None:
        self.kind, self._random = kind, np.random.default_rng(7)

    def batches(self) -> Iterator[Extracts]:
        for _ in range(BATCHES):
            labels, predictions = self._pairs()
            weights = self._random.choice([0.0, 0.5, 1.0, 2.5], (ROWS, 1)).astype(np.float32)
            yield {
                constants.LABELS_KEY: labels,
                constants.PREDICTIONS_KEY: predictions,
                constants.EXAMPLE_WEIGHTS_KEY: weights,
            }

    def _pairs(self) -> tuple[Any, Any]:
        random = self._random
        labels = random.integers(0, 2, (ROWS, 1))
        predictions = np.round(random.random((ROWS, 1)), 1).astype(np.float32)  # with ties
        match self.kind:
            case "fractions":
                return random.choice([0.0, 0.25, 1.0], (ROWS, 1)).astype(np.float32), predictions
            case "lists of one":
                places = np.stack([np.arange(ROWS), np.zeros(ROWS, int)], axis=1)
                return VarLenTensorValue(labels[:, 0], places, np.array([ROWS, 1])), predictions[:, 0]
            case "classes":
                return random.integers(0, 3, (ROWS, 1)), self._scores()
            case "one hot":
                return np.eye(3, dtype=np.float32)[random.integers(0, 3, ROWS)], self._scores()
            case "text with its classes":
                names = np.array([b"a", b"b", b"c", b"unknown"], object)
                classes = np.tile(names[:3], (ROWS, 1))
                return names[random.integers(0, 4, (ROWS, 1))], {"scores": self._scores(), "classes": classes}
            case "numbers":
                numbers = random.normal(10, 5, (ROWS, 1)).astype(np.float32)
                numbers[::7] = 0
                predicted = (numbers + random.normal(0, 2, (ROWS, 1))).astype(np.float32)
                predicted[::11] = np.nan
                return numbers, predicted
        return labels, predictions

    def _scores(self) -> np.ndarray:
        scores = np.round(self._random.random((ROWS, 3)), 1) + 0.1
        return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def memberships(extracts: Extracts) -> tuple[Memberships, list[list[int]]]:
    """The slices of each row; the last slice has no example."""
    first = extracts[constants.EXAMPLE_WEIGHTS_KEY][:, 0]
    slices = [[0] + [1] * (row % 2) + [2] * (row == 5) + [3] * bool(weight == 0) for row, weight in enumerate(first)]
    starts = np.concatenate([[0], np.cumsum([len(codes) for codes in slices])])
    return Memberships(starts, np.array([code for codes in slices for code in codes])), slices


def metrics(config: EvalConfig, by_slice: list[MetricsDict]) -> list[MetricsDict]:
    """Adds what TFMA derives."""
    for values in by_slice:
        for computation in results.computations(config).derived_computations:
            values |= computation.result(values)
    return by_slice


def of_tfma(config: EvalConfig, kind: str) -> list[MetricsDict]:
    computations = results.computations(config).non_derived_computations
    found: list[MetricsDict] = [{} for _ in range(SLICES)]
    for combiner in (computation.combiner for computation in computations):
        combiner.setup()
        parts: list[list[Any]] = [[combiner.create_accumulator()] for _ in range(SLICES)]
        for extracts in Data(kind).batches():
            batch = [combiner.create_accumulator() for _ in range(SLICES)]
            _, slices = memberships(extracts)
            for example, codes in zip(util.split_extracts(extracts), slices, strict=True):
                for code in codes:
                    inputs = StandardMetricInputs(copy.deepcopy(example))  # which some combiners change
                    batch[code] = combiner.add_input(batch[code], inputs)
            for code in range(SLICES):
                parts[code].append(batch[code])
        for code in range(SLICES):
            found[code] |= combiner.extract_output(combiner.merge_accumulators(iter(parts[code])))
    return metrics(config, found)


def of_arrays(config: EvalConfig, kind: str) -> list[MetricsDict]:
    found: list[MetricsDict] = [{} for _ in range(SLICES)]
    for computation in results.computations(config).non_derived_computations:
        total = coverage.result(computation)
        assert total is not None, computation.keys
        for extracts in Data(kind).batches():
            part = coverage.result(computation)
            assert part is not None
            part.add(Batch(config, extracts, np.arange(ROWS), memberships(extracts)[0]))
            total.merge(pickle.loads(pickle.dumps(part)), np.arange(SLICES))
        for code in range(SLICES):
            found[code] |= total.result(code)
    return metrics(config, found)


CASES = {
    "binary": ("zeros and ones", "", BINARY),
    "plots": ("zeros and ones", "", PLOTS),
    "weighted": ("zeros and ones", "example_weight_key: weight, ", BINARY),
    "fractional labels": ("fractions", "example_weight_key: weight, ", BINARY),
    "lists": ("lists of one", "", OVER_CLASSES.join(["metrics_specs: [{", "}]"])),
    "multi-class": ("classes", "example_weight_key: weight, ", MULTICLASS),
    "one hot": ("one hot", "", ONE_HOT),
    "text": ("text with its classes", "example_weight_key: weight, ", TEXT),
    "regression": ("numbers", "", REGRESSION),
    "weighted regression": ("numbers", "example_weight_key: weight, ", REGRESSION),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # TFMA takes logarithms of zero and divides by it
@pytest.mark.parametrize("case", CASES)
def test_covered_metrics_are_those_of_the_combiners(case: str) -> None:
    kind, weight, specs = CASES[case]
    defects.patch()
    config = completed(specs, weight)
    for code, (ours, theirs) in enumerate(zip(of_arrays(config, kind), of_tfma(config, kind), strict=True)):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_close(ours[key], theirs[key], (code, key.name))


def completed(specs: str, weight: str = "") -> EvalConfig:
    text = f"model_specs: [{{{weight}label_key: label}}]\n{specs}"
    config = json_format.ParseDict(yaml.safe_load(text), EvalConfig())
    return config_util.update_eval_config_with_defaults(config)


@pytest.mark.slow
def test_the_coefficient_of_determination() -> None:
    """TFMA cannot merge the states of Keras's metric; what it is of is what scikit-learn says."""
    config = completed("metrics_specs: [{metrics: [{class_name: R2Score}]}]")
    every = list(Data("zeros and ones").batches())
    labels, predictions = (
        np.concatenate([extracts[key] for extracts in every])
        for key in (constants.LABELS_KEY, constants.PREDICTIONS_KEY)
    )
    (value,) = of_arrays(config, "zeros and ones")[0].values()
    assert value == pytest.approx(r2_score(labels, predictions), rel=1e-5)


@pytest.mark.parametrize(
    "metric",
    [
        "{class_name: CoefficientOfDiscrimination}",
        "{class_name: SetMatchPrecision, config: '{\"thresholds\": [0.5]}'}",
    ],
)
def test_what_is_not_covered_is_left_to_the_combiner(metric: str) -> None:
    config = completed(f"metrics_specs: [{{metrics: [{metric}]}}]")
    assert [coverage.result(each) for each in results.computations(config).non_derived_computations] == [None]


def assert_close(ours: Any, theirs: Any, where: Any) -> None:
    if hasattr(theirs, "DESCRIPTOR"):
        ours, theirs = (json_format.MessageToDict(value) for value in (ours, theirs))
    if hasattr(theirs, "__slots__") and not isinstance(theirs, tuple | list | dict | np.ndarray | np.generic):
        ours, theirs = ([getattr(value, name) for name in theirs.__slots__] for value in (ours, theirs))
    if hasattr(theirs, "weighted_labels"):
        ours, theirs = vars(ours), vars(theirs)
    if isinstance(theirs, Mapping):
        assert ours.keys() == theirs.keys(), where
        ours, theirs = list(map(ours.get, theirs)), list(theirs.values())
    if isinstance(theirs, tuple | list):
        assert len(ours) == len(theirs), where
        for pair in zip(ours, theirs, strict=True):
            assert_close(*pair, where)
    elif isinstance(theirs, int | float | np.ndarray | np.generic):
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9, nan_ok=True), where
    else:
        assert ours == theirs, where

"""Approximate intervals against a bootstrap of generated examples, with weights and without."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.metrics.evidence import Spread
from penstock.components.evaluator.slices import Memberships
from penstock.components.evaluator.summary import areas, intervals
from penstock.components.evaluator.summary.scores import Compared, Scores
from penstock.core.artifacts.evaluation_summary import Measure, Problem

ROWS, RESAMPLES = 1500, 800
BINARY = ("BinaryAccuracy", "Precision", "Recall", "Specificity", "AUC", "AUCPrecisionRecall", "BinaryCrossentropy")
REGRESSION = ("MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError")
type Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], float | None]


def share(of: np.ndarray, among: np.ndarray, weights: np.ndarray) -> float:
    return float((of * among * weights).sum() / (among * weights).sum())


def entropy(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return -(labels * np.log(scores) + (1 - labels) * np.log(1 - scores))


METRICS: dict[str, Metric] = {
    "binary_accuracy": lambda y, p, w: share((p > 0.5) == (y > 0), np.ones_like(y), w),
    "precision": lambda y, p, w: share(y > 0, p > 0.5, w),
    "recall": lambda y, p, w: share(p > 0.5, y > 0, w),
    "specificity": lambda y, p, w: share(p <= 0.5, y == 0, w),
    "auc": lambda y, p, w: areas.area("ROC", y, p, w),
    "auc_precision_recall": lambda y, p, w: areas.area("PR", y, p, w),
    "binary_crossentropy": lambda y, p, w: float(np.average(entropy(y, p), weights=w)),
    "mean_squared_error": lambda y, p, w: float(np.average((y - p) ** 2, weights=w)),
    "root_mean_squared_error": lambda y, p, w: float(np.average((y - p) ** 2, weights=w)) ** 0.5,
    "mean_absolute_error": lambda y, p, w: float(np.average(np.abs(y - p), weights=w)),
}


def generated(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and weights, which have nothing to do with each other's errors."""
    random = np.random.default_rng(17)
    weights = random.choice([0.5, 1.0, 4.0], ROWS)
    if problem == "regression":
        labels = random.normal(50, 10, ROWS)
        return labels, labels + random.standard_t(6, ROWS) * 3, weights
    labels = (random.random(ROWS) < 0.3).astype(float)
    return labels, 1 / (1 + np.exp(-random.normal(2 * labels - 1, 1.2))), weights


def configured(metrics: Sequence[str], *, weighted: bool = False, how: str = "") -> EvalConfig:
    classes = " ".join(f"metrics {{ class_name: '{name}' }}" for name in metrics)
    key = "example_weight_key: 'w'" if weighted else ""
    specs = f"model_specs {{ label_key: 'y' {key} }} metrics_specs {{ {classes} {how} }}"
    return text_format.Parse(specs, EvalConfig())


def measured(problem: Problem, *, weighted: bool, outputs: int = 1) -> dict[str, Measure]:
    """The metrics of the generated examples, each of which has the same label and prediction for each output."""
    labels, predictions, weights = generated(problem)
    config = configured(BINARY if problem == "binary" else REGRESSION, weighted=weighted)
    compared = Compared(np.tile(labels[:, None], outputs), weights[:, None] if weighted else None)
    predicted = np.tile(predictions[:, None], outputs)
    (measures,) = Scores(config, problem).of(compared, predicted, np.zeros(ROWS, np.int64), 1)
    return measures


def batch(scores: Scores, labels: np.ndarray, predictions: np.ndarray) -> Batch:
    """A batch of examples that are all in one slice."""
    count = len(labels)
    extracts = {constants.LABELS_KEY: labels[:, None], constants.PREDICTIONS_KEY: predictions[:, None]}
    members = Memberships(np.arange(count + 1), np.zeros(count, np.int64))
    return Batch(scores._config, extracts, np.arange(count), members)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("problem", ["binary", "regression"])
def test_intervals_are_those_of_a_bootstrap(problem: Problem, weighted: bool) -> None:
    labels, predictions, weights = generated(problem)
    random, weights = np.random.default_rng(1), weights if weighted else np.ones(ROWS)
    draws = [random.integers(ROWS, size=ROWS) for _ in range(RESAMPLES)]
    measures = measured(problem, weighted=weighted)
    assert len(measures) == len(BINARY if problem == "binary" else REGRESSION)
    for name, measure in measures.items():
        samples = [METRICS[name](labels[rows], predictions[rows], weights[rows]) for rows in draws]
        low, high = np.quantile(np.array(samples, float), [0.025, 0.975])
        assert measure["value"] == pytest.approx(METRICS[name](labels, predictions, weights), rel=2e-3), name
        assert measure["low"] < measure["value"] < measure["high"], name
        assert measure["approximate"], name
        assert measure["high"] - measure["low"] == pytest.approx(high - low, rel=0.2), name
        assert (measure["low"], measure["high"]) == pytest.approx((low, high), abs=0.2 * (high - low)), name


@pytest.mark.parametrize("weighted", [False, True])
def test_outputs_of_an_example_are_not_independent(weighted: bool) -> None:
    single, double = (measured("regression", weighted=weighted, outputs=outputs) for outputs in (1, 2))
    for name, measure in single.items():
        bounds = (double[name]["low"], double[name]["high"])
        assert bounds == pytest.approx((measure["low"], measure["high"]), rel=1e-5), name


def test_averages_over_classes_have_no_interval() -> None:
    random = np.random.default_rng(3)
    labels, predictions = np.eye(3)[random.integers(3, size=50)], random.dirichlet(np.ones(3), 50)
    config = configured(["CategoricalAccuracy", "MeanSquaredError"], how="aggregate { micro_average: true }")
    (measures,) = Scores(config, "multiclass").of(Compared(labels, None), predictions, np.zeros(50, np.int64), 1)
    assert len(measures) == 2
    for name, measure in measures.items():
        assert measure.keys() == {"value"}, name


@pytest.mark.parametrize("problem", ["binary", "regression"])
def test_halves_that_are_merged_have_the_interval_of_the_whole(problem: Problem) -> None:
    labels, predictions, _ = generated(problem)
    scores = Scores(configured(BINARY if problem == "binary" else REGRESSION), problem)
    halves = [scores.accumulated(), scores.accumulated()]
    for half, rows in zip(halves, np.split(np.arange(ROWS), 2), strict=True):
        half.add(batch(scores, labels[rows], predictions[rows]))
    halves[0].merge(halves[1], np.zeros(1, np.int64))
    whole = measured(problem, weighted=False)
    for name, measure in scores.measures(halves[0], 0).items():
        assert dict(measure) == pytest.approx(dict(whole[name]), rel=1e-5), name


def test_a_batch_without_a_slice_tells_nothing() -> None:
    scores = Scores(configured(["RootMeanSquaredError"]), "regression")
    accumulated, none = scores.accumulated(), Memberships(np.zeros(3, np.int64), np.zeros(0, np.int64))
    accumulated.add(replace(batch(scores, np.ones(2), np.zeros(2)), memberships=none))
    assert scores.measures(accumulated, 0)["root_mean_squared_error"].keys() == {"value"}


def test_a_mean_below_zero_has_a_root_of_zero() -> None:
    """Weights may be negative: here that of the only example that is off."""
    compared = Compared(np.array([[0.0]] * 4 + [[1.0]]), np.array([[3.0]] * 4 + [[-0.5]]))
    config = configured(["RootMeanSquaredError"], weighted=True)
    (measures,) = Scores(config, "regression").of(compared, np.zeros((5, 1)), np.zeros(5, np.int64), 1)
    assert measures == {"root_mean_squared_error": {"value": None}}


def test_weights_count_by_their_effective_number() -> None:
    """Of examples of which a few weigh nearly all, less is known."""
    plain, weighted = (measured("binary", weighted=weighted)["recall"] for weighted in (False, True))
    assert weighted["high"] - weighted["low"] > 1.2 * (plain["high"] - plain["low"])


def test_bounds_are_published_ones() -> None:
    assert intervals.wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)  # Newcombe 1998, table I
    assert intervals.wilson(0.0, 20) == (0.0, pytest.approx(0.1611, abs=5e-5))
    assert intervals.wilson(1.0, 35) == (pytest.approx(0.9011, abs=5e-5), 1.0)
    assert intervals.mean(10.0, Spread(1.0, 11)) == pytest.approx((10 - 2.2281, 10 + 2.2281), abs=1e-4)  # Student's t


def test_nothing_is_said_of_too_little() -> None:
    assert intervals.wilson(0.5, 0) is None
    assert intervals.roc_area(1.0, 50, 50) is None
    assert intervals.roc_area(0.9, 1, 50) is None
    assert intervals.precision_recall_area(0.9, 1) is None

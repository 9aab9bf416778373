"""Approximate intervals against a bootstrap of generated examples, with weights and without."""

from collections.abc import Callable

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.metrics.evidence import Spread
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


def measured(problem: Problem, *, weighted: bool) -> dict[str, Measure]:
    labels, predictions, weights = generated(problem)
    classes = " ".join(
        f"metrics {{ class_name: '{name}' }}" for name in (BINARY if problem == "binary" else REGRESSION)
    )
    key = "example_weight_key: 'w'" if weighted else ""
    config = text_format.Parse(f"model_specs {{ label_key: 'y' {key} }} metrics_specs {{ {classes} }}", EvalConfig())
    compared = Compared(labels[:, None], weights[:, None] if weighted else None)
    (measures,) = Scores(config, problem).of(compared, predictions[:, None], np.zeros(ROWS, np.int64), 1)
    return measures


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

"""What Kubeflow and Vertex AI show: as kfp's own classes would have logged it, finite and small."""

import json

import numpy as np
import pytest
from kfp.dsl import ClassificationMetrics
from sklearn.metrics import auc, confusion_matrix, roc_auc_score
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, ModelSpec

from penstock.components.evaluator.defaults.target import Target
from penstock.components.evaluator.metrics import plots
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.slices import Memberships
from penstock.components.evaluator.summary import service_pages
from penstock.core.artifacts.evaluation_summary import EvaluationSummary, Plot, Problem

ROWS = 2000


def summary(problem: Problem, classes: list[str], plot: Plot | None) -> EvaluationSummary:
    numbers = {"auc": {"value": 0.9, "low": 0.8, "high": 0.95}, "precision": {"value": None}}
    overall = {"features": [], "examples": ROWS, "metrics": numbers, "baseline": {"auc": {"value": 0.7}}}
    return EvaluationSummary(
        problem=problem, label="late", classes=classes, main_metric="auc", lower_is_better=[], splits=["eval"],
        numbers=[], slices=[overall | ({"plot": plot} if plot else {})], importance=[], effects=[], sampled_rows=0,
    )  # fmt: skip


def drawn(problem: Problem, labels: np.ndarray, predictions: np.ndarray) -> Plot | None:
    config = EvalConfig(model_specs=[ModelSpec(label_key="label")])
    classes = max(predictions.shape[1], 2) if problem != "regression" else 0
    histograms = plots.histograms(config, Target(problem, "label", tuple(map(str, range(classes)))))
    assert histograms is not None
    rows = np.arange(len(labels))
    everywhere = Memberships(np.arange(len(labels) + 1), np.zeros(len(labels), np.int64))
    extracts = {"labels": labels[:, None], "predictions": predictions}
    histograms.add(Batch(config, extracts, rows, everywhere))
    return histograms.plot(0)


def test_numbers_are_those_that_are_defined_and_the_baselines() -> None:
    assert service_pages.metrics(summary("binary", ["0", "1"], None)) == {"auc": 0.9, "baseline_auc": 0.7}


def test_a_roc_curve_of_few_points_and_the_matrix_at_one_half() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, ROWS)
    predictions = generator.beta(1 + labels, 2 - labels)

    written = service_pages.classification(
        summary("binary", ["no", "yes"], drawn("binary", labels, predictions[:, None]))
    )

    points = written["confidenceMetrics"]
    assert 50 < len(points) <= 100
    curve = [(point["falsePositiveRate"], point["recall"], point["confidenceThreshold"]) for point in points]
    assert curve[0] == (0, 0, 1)
    assert curve[-1] == (1, 1, 0)
    fpr, tpr, thresholds = map(list, zip(*curve, strict=True))
    assert auc(fpr, tpr) == pytest.approx(roc_auc_score(labels, predictions), abs=2e-3)
    rows = confusion_matrix(labels, predictions >= 0.5).tolist()
    logged = ClassificationMetrics()
    logged.log_roc_curve(fpr, tpr, thresholds)
    logged.log_confusion_matrix(["no", "yes"], rows)
    assert written == logged.metadata
    json.dumps(written, allow_nan=False)


def test_examples_of_one_class_have_no_roc_curve() -> None:
    plot = drawn("binary", np.ones(50, int), np.linspace(0, 1, 50)[:, None])
    written = service_pages.classification(summary("binary", ["no", "yes"], plot))
    assert list(written) == ["confusionMatrix"]
    json.dumps(written, allow_nan=False)


def test_several_classes_have_a_matrix() -> None:
    generator = np.random.default_rng(2)
    labels, predictions = generator.integers(0, 3, ROWS), generator.dirichlet(np.ones(3), ROWS)
    written = service_pages.classification(
        summary("multiclass", ["a", "b", "c"], drawn("multiclass", labels, predictions))
    )
    logged = ClassificationMetrics()
    logged.log_confusion_matrix(["a", "b", "c"], confusion_matrix(labels, predictions.argmax(axis=1)).tolist())
    assert written == logged.metadata


def test_a_regression_has_neither() -> None:
    labels = np.linspace(0, 1, 50)
    plot = drawn("regression", labels, labels[:, None] + 1)
    assert service_pages.classification(summary("regression", [], plot)) == {}
    assert service_pages.classification(summary("other", [], None)) == {}

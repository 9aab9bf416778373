"""Estimates of metrics against the realised ones: drawn labels, whose probabilities are known, and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from penstock.components.monitoring.measures import calibration
from penstock.components.monitoring.measures.performance import Estimator, auc


def drawn(rows: int, seed: int, spread: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Scores of an overconfident classifier, and labels: the logits are twice what they should be."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-0.5, spread, rows)
    labels = generator.random(rows) < 1 / (1 + np.exp(-logits))
    return 1 / (1 + np.exp(-2 * logits)), labels.astype(float)


def test_the_area_is_scikit_learns() -> None:
    scores, labels = drawn(500, 1)
    assert auc(scores.round(1), labels) == pytest.approx(roc_auc_score(labels, scores.round(1)))
    assert np.isnan(auc(scores, np.ones(500)))


def test_overconfident_scores_are_calibrated() -> None:
    learnt = calibration.fit(*drawn(20_000, 1))
    scores, _ = drawn(5000, 2)
    logits = np.log(scores / (1 - scores)) / 2
    assert np.abs(learnt.of(scores) - 1 / (1 + np.exp(-logits))).mean() < 0.01


def test_scores_that_are_far_too_sure_are_calibrated() -> None:
    """Few are wrong, and logits are so large that plain Newton steps leave for infinity: all would be certain."""
    scores = 1 / (1 + np.exp(-np.random.default_rng(1).normal(8, 3, 600)))
    low, high = calibration.fit(scores, np.arange(600) >= 15).of([0.9, 0.999])
    assert 0.8 < low < high < 0.99


def test_few_labels_of_a_class_do_not_make_steps() -> None:
    generator = np.random.default_rng(1)
    learnt = calibration.fit(generator.random(100), np.arange(100) < 3)
    assert learnt.probabilities.min() > 0
    assert len(np.unique(learnt.probabilities)) == 100


def test_metrics_are_told_without_labels_also_where_scores_are_others() -> None:
    estimator = Estimator.binary(*drawn(20_000, 1))
    within = {"auc": 0, "accuracy": 0}
    for seed, spread in enumerate([1.5, 0.7, 3.0] * 20, 10):
        scores, labels = drawn(1000, seed, spread)
        estimates = estimator.estimate(scores)
        realised = {"auc": roc_auc_score(labels, scores), "accuracy": ((scores >= 0.5) == labels).mean()}
        for name, value in realised.items():
            assert estimates[name].value == pytest.approx(value, abs=0.06)
            within[name] += estimates[name].low <= value <= estimates[name].high
    assert all(50 <= count <= 60 for count in within.values()), within


def test_accuracy_of_several_classes_is_that_of_the_named_ones() -> None:
    scores, labels = drawn(20_000, 1)
    named, right = np.maximum(scores, 1 - scores), ((scores >= 0.5) == labels).astype(float)
    estimator = Estimator.multiclass(named, right)
    scores, labels = drawn(2000, 2, 3.0)
    estimates = estimator.estimate(np.maximum(scores, 1 - scores))
    assert set(estimates) == {"accuracy"}
    assert estimates["accuracy"].value == pytest.approx(((scores >= 0.5) == labels).mean(), abs=0.03)
    assert estimates["accuracy"].low < estimates["accuracy"].value < estimates["accuracy"].high


def test_the_same_window_has_the_same_estimate() -> None:
    scores, _ = drawn(300, 2)
    first, second = (Estimator.binary(*drawn(1000, 1)).estimate(scores) for _ in range(2))
    assert first == second


def test_what_was_learnt_by_heart_is_not_told_of_a_window() -> None:
    """Labels that no score tells: isotonic regression finds an AUC above a half in the rows that it has learnt from."""
    generator = np.random.default_rng(1)
    estimates = Estimator.binary(generator.random(400), (generator.random(400) < 0.5).astype(float)).estimate(
        generator.random(400)
    )
    assert estimates["auc"].low < 0.5 < estimates["auc"].high
    assert estimates["auc"].value < 0.54


def test_rows_of_one_class_have_no_area() -> None:
    scores, labels = drawn(5000, 1)
    assert set(Estimator.binary(scores, np.zeros(5000)).estimate(scores)) == {"accuracy"}
    estimates = Estimator.binary(scores, labels).estimate(np.full(3, scores.min()))
    assert set(estimates) == {"accuracy"}
    assert 0 <= estimates["accuracy"].low <= estimates["accuracy"].value <= 1

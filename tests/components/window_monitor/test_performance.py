"""Estimated metrics beside those that the labels of the window tell, which the estimate has not seen."""

import math

import numpy as np
import pyarrow as pa
import pytest

from penstock.components.monitoring.measures.bins import feature_bins
from penstock.components.window_monitor import performance
from penstock.components.window_monitor.performance import Rows
from penstock.core.labels import Label

BINARY = Label("late", "late_xf", "binary", ("no", "yes"))
MULTI = Label("late", "late_xf", "multiclass", ("no", "yes"))
REGRESSION = Label("fare", "fare_xf", "regression")


def _lists(values: np.ndarray) -> pa.Array:
    return pa.array([[one] for one in values.tolist()])


def classified(seed: int, low: float, label: Label, with_labels: bool = True) -> tuple[Rows, float]:
    """Returns rows whose scores are right, from a source with scores from `low` on, and the realised accuracy."""
    generator = np.random.default_rng(seed)
    scores = generator.uniform(low, 1, 4000)
    truth = generator.random(4000) < scores
    said = scores >= 0.5
    confidence = scores if label.problem == "binary" else np.where(said, scores, 1 - scores)
    columns = {
        "prediction": _lists(np.where(said, b"yes", b"no")),
        "probability": _lists(confidence),
        **({"label": _lists(np.where(truth, b"yes", b"no"))} if with_labels else {}),
    }
    return Rows(pa.table({"x": _lists(scores)}), pa.table(columns)), float((said == truth).mean())


@pytest.mark.parametrize("label", [BINARY, MULTI])
def test_the_accuracy_of_a_window_is_estimated_without_its_labels(label: Label) -> None:
    evaluation, accuracy_before = classified(1, 0.0, label)
    window, realised = classified(2, 0.4, label, with_labels=False)
    estimates = {one["metric"]: one for one in performance.estimated(label, evaluation, window, {})}
    assert set(estimates) == ({"auc", "accuracy"} if label is BINARY else {"accuracy"})
    one = estimates["accuracy"]
    assert one["evaluation"] == pytest.approx(accuracy_before)
    assert abs(one["value"] - realised) < 0.03 < abs(accuracy_before - realised)
    assert one["low"] < realised < one["high"]


def test_the_loss_of_a_window_is_estimated_from_its_features() -> None:
    def rows(seed: int, share: float) -> tuple[Rows, float]:
        """One in two kinds of rows, of which one is predicted badly."""
        generator = np.random.default_rng(seed)
        hard = generator.random(4000) < share
        predicted = generator.normal(10, 1, 4000)
        truth = predicted + generator.normal(0, np.where(hard, 3.0, 0.5))
        features = pa.table({"kind": _lists(np.where(hard, b"hard", b"easy"))})
        predictions = pa.table({"prediction": _lists(predicted), "label": _lists(truth)})
        return Rows(features, predictions), float(np.abs(truth - predicted).mean())

    evaluation, before = rows(1, 0.2)
    window, realised = rows(2, 0.8)
    (one,) = performance.estimated(
        REGRESSION, evaluation, window, feature_bins(evaluation.features, {"kind": "category"})
    )
    assert (one["metric"], one["evaluation"]) == ("mean_absolute_error", pytest.approx(before))
    assert abs(one["value"] - realised) < 0.1 < realised - before
    assert one["low"] < realised < one["high"]


@pytest.mark.parametrize("label", [BINARY, MULTI])
def test_an_answer_that_is_no_number_is_left_out(label: Label) -> None:
    evaluation, _ = classified(1, 0.0, label)
    window, _ = classified(2, 0.4, label, with_labels=False)
    expected = performance.estimated(label, evaluation, window, {})
    odd = pa.table({"prediction": [[b"yes"]] * 2, "probability": [[math.nan], [math.inf]]})
    both = Rows(
        pa.concat_tables([window.features, window.features.slice(0, 2)]), pa.concat_tables([window.predictions, odd])
    )
    assert performance.estimated(label, evaluation, both, {}) == expected
    assert performance.estimated(label, evaluation, Rows(window.features.slice(0, 2), odd), {}) == []


def test_a_loss_is_of_rows_whose_prediction_and_label_are_numbers() -> None:
    numbers = np.arange(200.0)
    features = pa.table({"x": _lists(numbers)})
    evaluation = Rows(features, pa.table({"prediction": _lists(numbers), "label": _lists(numbers + 1)}))
    truth = np.where(numbers == 7, math.nan, numbers + 1)
    predicted = np.where(numbers == 9, math.inf, numbers)
    damaged = Rows(features, pa.table({"prediction": _lists(predicted), "label": _lists(truth)}))
    window = Rows(features, pa.table({"prediction": _lists(predicted)}))
    for known in (evaluation, damaged):
        (one,) = performance.estimated(REGRESSION, known, window, {})
        assert one["evaluation"] == pytest.approx(1.0)
        assert one["value"] == pytest.approx(1.0)
    unpaired = Rows(pa.table({}), window.predictions)  # some answers were of other outputs
    assert performance.estimated(REGRESSION, evaluation, unpaired, {}) == []


def test_an_evaluation_of_one_class_tells_no_auc() -> None:
    evaluation, _ = classified(1, 0.0, BINARY)
    labels = pa.array([[b"yes"]] * 4000)
    one_class = Rows(evaluation.features, evaluation.predictions.set_column(2, "label", labels))
    window, _ = classified(2, 0.4, BINARY, with_labels=False)
    (one,) = performance.estimated(BINARY, one_class, window, {})
    assert one["metric"] == "accuracy"
    assert all(math.isfinite(one[key]) for key in ("value", "low", "high", "evaluation"))  # type: ignore[literal-required]


def test_nothing_is_estimated_where_nothing_is_known() -> None:
    evaluation, _ = classified(1, 0.0, BINARY)
    window, _ = classified(2, 0.0, BINARY, with_labels=False)
    assert performance.estimated(None, evaluation, window, {}) == []
    assert performance.estimated(BINARY, window, window, {}) == []  # no labels
    few = Rows(evaluation.features.slice(0, 50), evaluation.predictions.slice(0, 50))
    assert performance.estimated(BINARY, few, window, {}) == []
    assert performance.estimated(BINARY, evaluation, Rows(window.features, window.predictions.slice(0, 0)), {}) == []

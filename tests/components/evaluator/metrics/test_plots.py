"""Histograms for plots against scikit-learn and numpy, over all rows at once and in shards."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import auc, confusion_matrix, roc_auc_score
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, ModelSpec

from penstock.components.evaluator.defaults.target import Target
from penstock.components.evaluator.metrics import plots
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.metrics.plots import Histograms
from penstock.components.evaluator.slices import Memberships
from penstock.core.artifacts.evaluation_summary import BinaryPlot, MulticlassPlot, RegressionPlot

ROWS = 3000
PLAIN = EvalConfig(model_specs=[ModelSpec(label_key="label")])
WEIGHTED = EvalConfig(model_specs=[ModelSpec(label_key="label", example_weight_key="weight")])
BINARY, REGRESSION = Target("binary", "label", ("0", "1")), Target("regression", "label")


def classes(count: int) -> Target:
    return Target("multiclass", "label", tuple(map(str, range(count))))


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(3)


def batch(labels: np.ndarray, predictions: np.ndarray, weights: np.ndarray, slices: np.ndarray) -> Batch:
    """Every example is in the slice 0 and in one of its own."""
    codes = np.stack([np.zeros_like(slices), slices], axis=1).ravel()
    memberships = Memberships(2 * np.arange(len(labels) + 1), codes)
    extracts = {"labels": labels[:, None], "predictions": predictions, "example_weights": weights[:, None]}
    return Batch(PLAIN, extracts, np.arange(len(labels)), memberships)


def accumulated(
    create: Callable[[], Histograms | None],
    labels: np.ndarray,
    predictions: np.ndarray,
    weights: np.ndarray,
    slices: np.ndarray,
) -> Histograms:
    """Adds two shards up; the second knows the slices by other codes."""
    first, second = create(), create()
    assert first is not None
    assert second is not None
    first.add(batch(labels[:1000], predictions[:1000], weights[:1000], slices[:1000]))
    second.add(batch(labels[1000:], predictions[1000:], weights[1000:], 3 - slices[1000:]))
    first.merge(second, np.array([0, 2, 1]))
    return first


def test_binary_curves_derive_from_the_histograms(generator: np.random.Generator) -> None:
    labels, slices = generator.integers(0, 2, ROWS), generator.integers(1, 3, ROWS)
    predictions = np.clip(generator.beta(1, 30, ROWS) * (1 + labels), 0, 1)  # rare events: all predictions are small
    weights = generator.uniform(0.5, 2, ROWS)

    total = accumulated(lambda: plots.histograms(WEIGHTED, BINARY), labels, predictions[:, None], weights, slices)

    for code, rows in ((0, np.ones(ROWS, bool)), (1, slices == 1), (2, slices == 2)):
        plot: BinaryPlot = total.plot(code)  # type: ignore[assignment]
        assert len(plot["edges"]) == len(plot["positive"]) + 1 <= 202
        assert sum(plot["positive"]) == pytest.approx(weights[rows & (labels == 1)].sum(), rel=1e-6)
        assert sum(plot["negative"]) == pytest.approx(weights[rows & (labels == 0)].sum(), rel=1e-6)
        assert sum(plot["predictions"]) == pytest.approx((weights * predictions)[rows].sum(), rel=1e-6)
        tpr, fpr = (np.append(0, np.cumsum(plot[name][::-1])) / sum(plot[name]) for name in ("positive", "negative"))  # type: ignore[literal-required]
        exact = roc_auc_score(labels[rows], predictions[rows], sample_weight=weights[rows])
        assert auc(fpr, tpr) == pytest.approx(exact, abs=1e-3)


def test_what_is_no_probability_has_no_binary_plot(generator: np.random.Generator) -> None:
    labels, logits = generator.integers(0, 2, ROWS), generator.normal(size=(ROWS, 1))
    total = accumulated(lambda: plots.histograms(PLAIN, BINARY), labels, logits, np.ones(ROWS), np.ones(ROWS, int))
    assert total.plot(0) is None


def test_a_confusion_matrix_has_true_classes_in_rows(generator: np.random.Generator) -> None:
    labels, slices = generator.integers(0, 4, ROWS), generator.integers(1, 3, ROWS)
    predictions = generator.dirichlet(np.ones(4), ROWS) + 0.3 * np.eye(4)[labels]
    labels[:10] = -1  # no class of the model
    weights = generator.uniform(0.5, 2, ROWS)

    total = accumulated(lambda: plots.histograms(WEIGHTED, classes(4)), labels, predictions, weights, slices)

    rows = (slices == 1) & (labels >= 0)
    expected = confusion_matrix(labels[rows], predictions[rows].argmax(axis=1), sample_weight=weights[rows])
    plot: MulticlassPlot = total.plot(1)  # type: ignore[assignment]
    assert np.array(plot["confusion"]) == pytest.approx(expected)
    assert plots.histograms(WEIGHTED, classes(1000)) is None


def test_residuals_and_calibration_of_a_regression(generator: np.random.Generator) -> None:
    labels = 250_000 + 80_000 * generator.normal(size=ROWS)
    predictions = labels + 20_000 * generator.standard_t(3, ROWS) + 5_000
    weights, slices = np.ones(ROWS), generator.integers(1, 3, ROWS)
    labels[0] = np.nan

    total = accumulated(lambda: plots.histograms(PLAIN, REGRESSION), labels, predictions[:, None], weights, slices)

    plot: RegressionPlot = total.plot(0)  # type: ignore[assignment]
    residuals = (labels - predictions)[1:]
    low, high = plot["residual_edges"][0], plot["residual_edges"][-1]
    assert (low, high) == pytest.approx(np.quantile(residuals, [0.005, 0.995]), rel=0.05)
    expected, _ = np.histogram(np.clip(residuals, low, high), plot["residual_edges"])
    assert sum(plot["residuals"]) == ROWS - 1
    assert np.abs(np.array(plot["residuals"]) - expected).sum() < 0.03 * ROWS  # some are near an edge
    assert sum(plot["examples"]) == ROWS - 1
    assert max(plot["examples"]) < 1.2 * ROWS / 20
    for name, values in (("mean_predictions", predictions), ("mean_labels", labels)):
        mean = np.average(plot[name], weights=plot["examples"])  # type: ignore[literal-required]
        assert mean == pytest.approx(values[1:].mean(), rel=1e-6)
    assert np.all(np.diff(plot["mean_predictions"]) > 0)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("error")
def test_examples_of_no_weight_are_in_no_plot(generator: np.random.Generator) -> None:
    labels = generator.normal(size=ROWS)
    predictions = labels + generator.normal(size=ROWS)
    weights = (labels > 0).astype(float)
    slices = np.where(labels > 0, 1, 2)
    first = plots.histograms(WEIGHTED, REGRESSION)
    assert first is not None
    first.add(batch(labels, predictions[:, None], weights, slices))
    plot: RegressionPlot = first.plot(0)  # type: ignore[assignment]
    assert sum(plot["residuals"]) == sum(plot["examples"]) == weights.sum()
    assert np.all(np.isfinite([*plot["edges"], *plot["residual_edges"]]))
    assert first.plot(2) is None


def test_a_slice_without_examples_has_no_plot() -> None:
    for target in (BINARY, classes(3), REGRESSION):
        created = plots.histograms(PLAIN, target)
        assert created is not None
        assert created.plot(0) is None
    assert plots.histograms(PLAIN, Target("other", "label")) is None

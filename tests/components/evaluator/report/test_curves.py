"""The curves that derive from histograms, against what the rows themselves say."""

import numpy as np
import pytest

from penstock.components.evaluator.report.curves import Curves
from penstock.core.artifacts.evaluation_summary import BinaryPlot
from tests.components.evaluator.report import summaries


@pytest.fixture(scope="module")
def rows() -> tuple[summaries.Floats, summaries.Floats]:
    random = np.random.default_rng(7)
    labels = (random.random(3000) < 0.3).astype(float)
    return labels, np.clip(random.beta(2, 5, 3000) + 0.25 * labels, 0, 0.999)


@pytest.fixture(scope="module")
def curves(rows: tuple[summaries.Floats, summaries.Floats]) -> Curves:
    return Curves.of(summaries.binary_plot(*rows))


def test_the_area_is_that_of_the_rows(curves: Curves, rows: tuple[summaries.Floats, summaries.Floats]) -> None:
    expected = summaries.area(*rows)
    assert curves.area() == pytest.approx(expected, abs=1e-4)
    points = curves.points()
    drawn = np.trapezoid([p.recall or 0 for p in points], [p.false_positive_rate or 0 for p in points])
    assert drawn == pytest.approx(expected, abs=2e-3)


def test_points_go_from_corner_to_corner(curves: Curves) -> None:
    points = curves.points()
    assert len(points) <= 80
    assert (points[0].recall, points[0].false_positive_rate, points[0].precision) == (0, 0, None)
    assert (points[-1].recall, points[-1].false_positive_rate) == (1, 1)
    recalls = [point.recall or 0 for point in points]
    assert recalls == sorted(recalls)
    assert max(np.diff(recalls)) < 0.05


@pytest.mark.parametrize("threshold", [0.0, 0.24, 0.5, 0.52, 1.0])
def test_counts_at_a_threshold(
    curves: Curves, rows: tuple[summaries.Floats, summaries.Floats], threshold: float
) -> None:
    labels, scores = rows
    called = scores >= threshold
    (point,) = [point for point in curves.at_thresholds() if point.threshold == pytest.approx(threshold)]
    assert point.true_positives == (called & (labels == 1)).sum()
    assert point.false_positives == (called & (labels == 0)).sum()
    assert point.false_negatives == (~called & (labels == 1)).sum()
    assert point.true_negatives == (~called & (labels == 0)).sum()


def test_precision_recall_and_f1(curves: Curves) -> None:
    point = curves.at_thresholds()[25]
    precision, recall = point.precision or 0, point.recall or 0
    assert precision == point.true_positives / (point.true_positives + point.false_positives)
    assert point.f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_calibration_groups_are_of_about_as_many_rows(
    curves: Curves, rows: tuple[summaries.Floats, summaries.Floats]
) -> None:
    labels, scores = rows
    groups = curves.groups()
    assert len(groups) == 10
    assert sum(group.rows for group in groups) == len(labels)
    assert all(0.08 < group.rows / len(labels) < 0.12 for group in groups)
    assert sum(group.rows * group.positive_share for group in groups) == pytest.approx(labels.sum())
    assert sum(group.rows * group.mean_prediction for group in groups) == pytest.approx(scores.sum())


def test_bins_are_shares_of_each_class(curves: Curves, rows: tuple[summaries.Floats, summaries.Floats]) -> None:
    labels, scores = rows
    bins = curves.bins()
    assert (bins[0].low, bins[-1].high, len(bins)) == (0, 1, 25)
    assert sum(part.positive for part in bins) == pytest.approx(1)
    of_first = ((labels == 0) & (scores < bins[4].high) & (scores >= bins[4].low)).sum() / (labels == 0).sum()
    assert bins[4].negative == pytest.approx(of_first)


def test_rows_of_one_class_have_no_curve() -> None:
    plot = summaries.binary_plot(np.ones(50), np.linspace(0.1, 0.9, 50))
    curves = Curves.of(plot)
    assert not curves.has_both_classes
    assert curves.points() == []
    assert curves.area() is None
    assert sum(part.positive for part in curves.bins()) == pytest.approx(1)


def test_one_constant_prediction() -> None:
    """What the trivial model predicts: one bucket has all rows."""
    plot = BinaryPlot(kind="binary", edges=[0, 0.5, 1], positive=[0, 3], negative=[0, 9], predictions=[0, 6])
    curves = Curves.of(plot)
    assert curves.area() == pytest.approx(0.5)
    assert [(point.false_positive_rate, point.recall) for point in curves.points()] == [(0, 0), (1, 1)]
    assert curves.groups() == [(12, 0.5, 0.25)]

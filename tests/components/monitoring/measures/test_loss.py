"""A regression's loss without labels: its size depends on a feature, whose distribution moves."""

import numpy as np
import pyarrow as pa
import pytest

from penstock.components.monitoring.measures.bins import feature_bins
from penstock.components.monitoring.measures.loss import LossEstimator


def drawn(rows: int, seed: int, high: float = 1.0) -> tuple[pa.RecordBatch, np.ndarray, np.ndarray]:
    """Rows, predictions and absolute errors: these are larger where the feature `noise` is."""
    generator = np.random.default_rng(seed)
    noise, other = generator.random(rows) * high, generator.random(rows)
    columns = [pa.LargeListArray.from_arrays(np.arange(rows + 1), pa.array(values)) for values in (noise, other)]
    batch = pa.RecordBatch.from_arrays(columns, ["noise", "other"])
    return batch, 10 * other, np.abs(generator.normal(size=rows)) * (0.5 + noise + 0.5 * other)


@pytest.mark.slow
def test_the_loss_follows_what_it_depends_on() -> None:
    rows, predictions, losses = drawn(8000, 1)
    estimator = LossEstimator.of(feature_bins(pa.Table.from_batches([rows]), {}), rows, predictions, losses)
    within = 0
    for seed, high in enumerate([1.0, 0.5, 0.25] * 5, 2):
        window, predicted, realised = drawn(1000, seed, high)
        estimate = estimator.estimate(window, predicted)
        assert estimate.value == pytest.approx(realised.mean(), abs=0.12)
        within += estimate.low <= realised.mean() <= estimate.high
    assert 12 <= within <= 15
    assert losses.mean() > realised.mean() + 0.2


def test_without_features_the_prediction_tells() -> None:
    rows, predictions, losses = drawn(2000, 1)
    estimator = LossEstimator.of({}, rows, predictions, losses)
    few = rows.slice(0, 500)
    low, high = (estimator.estimate(few, np.full(500, value)).value for value in (0.0, 10.0))
    assert high - low == pytest.approx(0.5 * np.sqrt(2 / np.pi), abs=0.15)


def test_what_trees_have_learnt_by_heart_is_no_reason_to_be_sure() -> None:
    """Losses that nothing tells, of few rows: the interval is as wide as that of a mean of them."""
    rows, predictions, _ = drawn(300, 1)
    losses = np.random.default_rng(2).exponential(size=300)
    bins = feature_bins(pa.Table.from_batches([rows]), {})
    estimate = LossEstimator.of(bins, rows, predictions, losses).estimate(*drawn(300, 3)[:2])
    assert estimate.low < losses.mean() < estimate.high
    assert estimate.high - estimate.low >= 2 * 1.96 * losses.std() * np.sqrt(2 / 300)


def test_a_model_without_a_loss_has_none_in_a_window() -> None:
    rows, predictions, _ = drawn(200, 1)
    estimate = LossEstimator.of({}, rows, predictions, np.zeros(200)).estimate(rows, predictions)
    assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)

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


def test_the_loss_follows_what_it_depends_on() -> None:
    rows, predictions, losses = drawn(20_000, 1)
    estimator = LossEstimator.of(feature_bins(pa.Table.from_batches([rows]), {}), rows, predictions, losses)
    within = 0
    for seed, high in enumerate([1.0, 0.5, 0.25] * 20, 2):
        window, predicted, realised = drawn(1000, seed, high)
        estimate = estimator.estimate(window, predicted)
        assert estimate.value == pytest.approx(realised.mean(), abs=0.12)
        within += estimate.low <= realised.mean() <= estimate.high
    assert 52 <= within <= 60
    assert losses.mean() > realised.mean() + 0.2


def test_without_features_the_prediction_tells() -> None:
    rows, predictions, losses = drawn(20_000, 1)
    estimator = LossEstimator.of({}, rows, predictions, losses)
    few = rows.slice(0, 500)
    low, high = (estimator.estimate(few, np.full(500, value)).value for value in (0.0, 10.0))
    assert high - low == pytest.approx(0.5 * np.sqrt(2 / np.pi), abs=0.1)

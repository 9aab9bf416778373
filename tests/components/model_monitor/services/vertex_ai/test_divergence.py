"""Jensen-Shannon divergence as TFDV's own comparator computes it, and thresholds that unchanged data seldom exceeds."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0 import statistics_pb2

from penstock.components.model_monitor.services.vertex_ai import divergence

RANDOM = np.random.default_rng(7)
SAMPLES = {
    "skewed": (RANDOM.gamma(2, 2, 1000), RANDOM.gamma(2, 2, 5000)),
    "wider": (RANDOM.normal(0, 1, 1000), RANDOM.normal(1, 2, 1000)),
    "heavy tail": (RANDOM.lognormal(0, 2, 1000), RANDOM.lognormal(0, 2, 3000)),
    "whole numbers": (RANDOM.integers(0, 5, 1000), RANDOM.integers(0, 6, 1000)),
    "one number": (np.ones(50), RANDOM.normal(0, 1, 100)),
    "the same number": (np.ones(50), np.ones(60)),
    "apart": (RANDOM.uniform(0, 1, 100), RANDOM.uniform(5, 6, 100)),
}


def statistics(values: npt.NDArray[np.float64]) -> statistics_pb2.DatasetFeatureStatisticsList:
    batch = pa.RecordBatch.from_pydict({"x": pa.array([[one] for one in values.tolist()], pa.large_list(pa.float64()))})
    return stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions())


@pytest.mark.parametrize("name", SAMPLES)
def test_it_is_tfdvs(name: str) -> None:
    first, second = (np.asarray(values, np.float64) for values in SAMPLES[name])
    before, now = statistics(first), statistics(second)
    schema = tfdv.infer_schema(before)
    schema.feature[0].drift_comparator.jensen_shannon_divergence.threshold = 0.5
    anomalies = tfdv.validate_statistics(now, schema, previous_statistics=before)
    (measured,) = (one.value for info in anomalies.drift_skew_info for one in info.drift_measurements)
    assert divergence.divergence(first, second) == pytest.approx(measured, abs=1e-6)


def test_without_a_finite_number_nothing_alerts() -> None:
    column = pa.array([None, [float("nan")], [float("inf")]], pa.large_list(pa.float64()))
    assert divergence.chance(column, 1000, 0.01) == (1.0, 1.0)


@pytest.mark.slow
def test_unchanged_windows_seldom_exceed_the_thresholds_and_shifted_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divergence, "SAMPLES", 40)
    generator = np.random.default_rng(11)
    training = generator.gamma(2, 2, 8000)
    column = pa.array([[one] for one in training] + [None] * 100 + [[float("nan")]], pa.large_list(pa.float64()))
    skew, drift = divergence.chance(column, 1000, 0.01)
    windows = [generator.gamma(2, 2, 1000) for _ in range(40)]
    apart = [divergence.divergence(one, training) for one in windows]
    assert sum(one > skew for one in apart) <= 1
    pairs = zip(windows[1:], windows[:-1], strict=True)
    assert sum(divergence.divergence(one, other) > drift for one, other in pairs) <= 1
    assert divergence.divergence(generator.gamma(2, 3, 1000), training) > skew

"""TFDV's comparators are the oracle: they are what Vertex AI computes as well."""

import numpy as np
import pytest
import scipy.stats
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from penstock.components.monitoring.measures import distances

PAIRS = [([5, 3, 2], [2, 3, 5]), ([100, 0, 1, 7], [90, 20, 0, 7]), ([1000, 10], [1, 3]), ([4, 4], [8, 8])]


def tfdv_distance(first: list[int], second: list[int], comparator: str, numeric: bool) -> float:
    """What TFDV measures of statistics with these counts."""
    kind = schema_pb2.FLOAT if numeric else schema_pb2.BYTES
    feature = schema_pb2.Feature(name="x", type=kind)
    feature.presence.min_count = 1
    getattr(feature.drift_comparator, comparator).threshold = 0.001
    anomalies = tfdv.validate_statistics(
        _statistics(first, numeric),
        schema_pb2.Schema(feature=[feature]),
        previous_statistics=_statistics(second, numeric),
    )
    return float(anomalies.drift_skew_info[0].drift_measurements[0].value)


def _statistics(counts: list[int], numeric: bool) -> statistics_pb2.DatasetFeatureStatisticsList:
    rows = sum(counts)
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = statistics.datasets.add(num_examples=rows)
    kind = statistics_pb2.FeatureNameStatistics.FLOAT if numeric else statistics_pb2.FeatureNameStatistics.STRING
    feature = dataset.features.add(type=kind)
    feature.path.step.append("x")
    common = feature.num_stats.common_stats if numeric else feature.string_stats.common_stats
    common.num_non_missing, common.tot_num_values = rows, rows
    common.min_num_values = common.max_num_values = 1
    common.avg_num_values = 1
    if numeric:
        histogram = feature.num_stats.histograms.add(type=statistics_pb2.Histogram.STANDARD)
        for place, count in enumerate(counts):
            histogram.buckets.add(low_value=place, high_value=place + 1, sample_count=count)
    else:
        for place, count in enumerate(counts):
            if count:
                feature.string_stats.rank_histogram.buckets.add(
                    low_rank=place, high_rank=place, label=f"v{place}", sample_count=count
                )
    return statistics


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_l_infinity_is_tfdvs(first: list[int], second: list[int]) -> None:
    expected = tfdv_distance(first, second, "infinity_norm", numeric=False)
    assert distances.l_infinity(first, second) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("numeric", [False, True])
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_jensen_shannon_is_tfdvs(first: list[int], second: list[int], numeric: bool) -> None:
    expected = tfdv_distance(first, second, "jensen_shannon_divergence", numeric)
    assert distances.jensen_shannon(first, second) == pytest.approx(expected, abs=1e-7)


def test_kolmogorov_smirnov_is_scipys() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.integers(0, 10, 500), generator.integers(1, 12, 300)
    counts = [np.bincount(sample, minlength=12) for sample in (first, second)]
    expected = scipy.stats.ks_2samp(first, second).statistic
    assert distances.kolmogorov_smirnov(*counts) == pytest.approx(expected)


def test_nothing_is_no_distance() -> None:
    assert distances.l_infinity([0, 0], [0, 0]) == 0
    assert distances.jensen_shannon([0, 0], [0, 0]) == 0

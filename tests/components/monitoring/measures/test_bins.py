import math

import numpy as np
import pyarrow as pa
import pytest

from penstock.components.monitoring.measures.bins import GROUPS, FeatureBins, feature_bins
from penstock.core.errors import DataError


def test_numbers_fall_between_quantiles_and_beyond_the_range() -> None:
    numbers = np.random.default_rng(1).normal(size=10_000)
    bins = FeatureBins.of("x", pa.array(numbers), None)
    counts = np.bincount(bins.place(pa.array(numbers)), minlength=bins.size)
    assert bins.kind == "number"
    assert counts[0] == counts[-1] == 0
    assert counts[1:-1].max() < 1.5 * len(numbers) / 128
    placed = bins.place(pa.array([numbers.min() - 1, numbers.min(), numbers.max(), numbers.max() + 1, math.nan]))
    assert placed.tolist() == [0, 1, bins.size - 2, bins.size - 1, -1]


def test_infinity_is_out_of_range_and_no_edge() -> None:
    bins = FeatureBins.of("x", pa.array([1.0, 2.0, math.inf, -math.inf, math.nan]))
    assert all(map(math.isfinite, bins.edges))
    assert bins.place(pa.array([-math.inf, 1.0, 2.0, math.inf])).tolist() == [0, 1, 2, 3]


def test_a_column_without_a_finite_number_has_no_bins() -> None:
    rows = pa.table({"x": [[math.nan], [math.inf]], "y": [[1.0], [math.inf]], "z": [[], None]})
    assert list(feature_bins(rows, {})) == ["y"]


def test_a_frequent_number_has_a_bin_of_its_own() -> None:
    numbers = np.concatenate([np.zeros(5000), np.random.default_rng(1).exponential(size=5000)])
    bins = FeatureBins.of("x", pa.array(numbers))
    counts = np.bincount(bins.place(pa.array(numbers)), minlength=bins.size)
    assert counts.max() == 5000
    assert bins.place(pa.array([0.0, numbers[numbers > 0].min()])).tolist() == [1, 2]


def test_few_different_numbers_have_a_bin_each() -> None:
    bins = FeatureBins.of("x", pa.array([3, 1, 2, 2], pa.int64()))
    assert bins.place(pa.array([0, 1, 2, 3, 4])).tolist() == [0, 1, 2, 3, 4]


def test_categories_have_a_bin_each_and_new_ones_the_last() -> None:
    values = pa.array([b"b", b"a", b"b", b"c"], pa.large_binary())
    bins = FeatureBins.of("x", values)
    assert bins.kind == "category"
    assert bins.values == (b"b", b"a", b"c")
    assert bins.place(pa.array(["a", "b", "d"])).tolist() == [1, 0, 3]
    assert bins.unseen == 2 / 4
    assert bins.is_complete


def test_of_many_categories_the_rare_ones_share_a_bin() -> None:
    values = pa.array([*([b"often"] * 50), *(f"{number % 1500}".encode() for number in range(4000))], pa.large_binary())
    bins = FeatureBins.of("x", values)
    assert bins.kind == "category"
    assert bins.values == (b"often",)
    assert not bins.is_complete
    assert np.bincount(bins.place(values)).tolist() == [50, 4000]


def test_strings_that_mostly_differ_are_text_and_counted_by_length() -> None:
    values = pa.array([f"{'x' * (number % 7)} {number}" for number in range(3000)])
    bins = FeatureBins.of("x", values)
    assert bins.kind == "text"
    assert bins.place(pa.array(["x" * 100])).tolist() == [bins.size - 1]


def test_whole_numbers_may_be_names() -> None:
    bins = FeatureBins.of("x", pa.array([17, 17, 4], pa.int64()), "category")
    assert bins.values == (b"17", b"4")
    assert bins.place(pa.array([4, 5])).tolist() == [1, 2]


def test_groups_hold_about_as_many_values_each() -> None:
    bins = FeatureBins.of("x", pa.array(np.random.default_rng(1).normal(size=10_000)))
    values = pa.array(np.random.default_rng(2).normal(size=10_000))
    sizes = np.bincount(np.asarray(bins.groups)[bins.place(values)])
    assert len(sizes) == GROUPS - 1
    assert sizes.min() > 2000


def test_another_type_is_refused_by_name() -> None:
    bins = FeatureBins.of("fare", pa.array([1.0, 2.0]))
    with pytest.raises(DataError, match="feature 'fare': expected numbers, as in the training data, found string"):
        bins.place(pa.array(["1"]))

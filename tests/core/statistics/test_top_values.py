"""The exact counts and the bound on their memory."""

import pickle
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_data_validation import StatsOptions
from tensorflow_data_validation.types import FeaturePath
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from penstock.core.statistics.top_values import TopValuesGenerator


def batches(values: list[bytes], size: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(values), size):
        lists = pa.array([[value] for value in values[start : start + size]], pa.large_list(pa.large_binary()))
        yield pa.RecordBatch.from_arrays([lists], ["name"])


def count(values: list[bytes], budget: int, shards: int = 1, **options: object) -> statistics_pb2.StringStatistics:
    """Counts the values in shards that are pickled and merged, as the component does."""
    generator = TopValuesGenerator(StatsOptions(**options), budget)
    accumulators = []
    for index in range(shards):
        accumulator = generator.create_accumulator()
        for batch in batches(values[len(values) * index // shards : len(values) * (index + 1) // shards], 1000):
            accumulator = generator.add_input(accumulator, batch)
        accumulators.append(pickle.loads(pickle.dumps(generator.compact(accumulator))))
    merged = generator.compact(generator.merge_accumulators(accumulators))
    assert sum(counts.table.nbytes for counts in merged.values()) <= budget
    (feature,) = generator.extract_output(merged).features
    assert list(feature.path.step) == ["name"]
    return feature.string_stats


@pytest.fixture
def skewed() -> list[bytes]:
    """60,000 values, of which about 40,000 are distinct, with a few frequent ones."""
    generator = np.random.default_rng(7)
    rare = [f"value {number:06d}".encode() for number in generator.integers(0, 90_000, 55_000)]
    frequent = [f"top {number}".encode() for number in np.minimum(generator.geometric(0.3, 5_000), 12)]
    values = np.array(rare + frequent)
    generator.shuffle(values)
    return list(values.tolist())


@pytest.mark.parametrize("shards", [1, 4])
def test_counts_are_exact_within_the_budget(skewed: list[bytes], shards: int) -> None:
    stats = count(skewed, 64 << 20, shards)
    counted = Counter(skewed)
    expected = sorted(((times, value) for value, times in counted.items()), reverse=True)
    assert stats.unique == len(counted)
    assert [(bucket.sample_count, bucket.label.encode()) for bucket in stats.rank_histogram.buckets] == expected[:1000]
    assert [(top.frequency, top.value.encode()) for top in stats.top_values] == expected[:20]


def test_beyond_the_budget_the_frequent_stay_exact_and_the_distinct_are_estimated(skewed: list[bytes]) -> None:
    stats = count(skewed, 200_000, 4)
    counted = Counter(skewed)
    frequent = [(top.value, int(top.frequency)) for top in stats.top_values if top.value.startswith("top")]
    assert len(frequent) >= 10
    assert all(counted[value.encode()] == times for value, times in frequent)
    assert stats.unique == pytest.approx(len(counted), rel=0.03)
    assert stats == count(skewed, 200_000, 4)


def test_the_bound_of_the_error_holds() -> None:
    """A value that was dropped and came back is too low by no more than the error says."""
    values = [f"{number % 3000:05d}".encode() for number in range(30_000)]
    generator = TopValuesGenerator(StatsOptions(), 20_000)
    accumulator = generator.create_accumulator()
    for batch in batches(values, 1000):
        accumulator = generator.add_input(accumulator, batch)
    counts = generator.compact(accumulator)[FeaturePath(["name"])]
    true = Counter(values)
    found = dict(zip(counts.table["value"].to_pylist(), counts.table["count"].to_pylist(), strict=True))
    assert counts.error > 0
    assert all(true[value] - counts.error <= times <= true[value] for value, times in found.items())


def test_a_short_column_keeps_its_values_beside_a_long_one() -> None:
    generator = TopValuesGenerator(StatsOptions(), 50_000)
    lists = pa.large_list(pa.large_binary())
    long = pa.array([[f"{number}".encode()] for number in range(5000)], lists)
    short = pa.array([[f"{number % 7}".encode()] for number in range(5000)], lists)
    batch = pa.RecordBatch.from_arrays([long, short], ["long", "short"])
    accumulator = generator.compact(generator.add_input(generator.create_accumulator(), batch))
    assert accumulator[FeaturePath(["short"])].sketch is None
    assert accumulator[FeaturePath(["long"])].sketch is not None
    assert accumulator[FeaturePath(["long"])].table.nbytes > 40_000


def test_ties_invalid_text_and_sketch_rules() -> None:
    values = [b"b", b"a", b"\xff\xfe", b"x" * 2000, b"y" * 2000]
    exact = count(values, 1 << 20)
    assert [top.value for top in exact.top_values][:2] == ["__BYTES_VALUE__", "y" * 2000]
    assert exact.unique == 5
    ruled = count(values, 1 << 20, use_sketch_based_topk_uniques=True)
    assert {(top.value, top.frequency) for top in ruled.top_values} >= {("__LARGE_BYTES__", 2.0), ("a", 1.0)}
    assert ruled.unique == 4


def test_which_features_are_counted() -> None:
    schema = schema_pb2.Schema()
    for name, kind in (("number", schema_pb2.INT), ("category", schema_pb2.INT), ("raw", schema_pb2.BYTES)):
        schema.feature.add(name=name, type=kind)
    schema.feature[1].int_domain.is_categorical = True
    schema.feature[2].image_domain.SetInParent()
    generator = TopValuesGenerator(StatsOptions(schema=schema))
    numbers, text = pa.array([[1], [2, 1]]), pa.array([[b"x"], None], pa.large_list(pa.large_binary()))
    empty = pa.array([[], None], pa.large_list(pa.large_binary()))
    batch = pa.RecordBatch.from_arrays(
        [numbers, numbers, text, text, empty], ["number", "category", "raw", "text", "empty"]
    )
    accumulator = generator.compact(generator.add_input(generator.create_accumulator(), batch))
    assert {path.steps() for path in accumulator} == {("category",), ("text",)}
    assert accumulator[FeaturePath(["category"])].table.to_pydict() == {"value": [1, 2], "count": [2, 1]}

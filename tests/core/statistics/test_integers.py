"""Integers that doubles round: their ends are exact, over shards and files, and so is the number of distinct ones."""

import pickle

import pyarrow as pa
import pytest
from tensorflow_data_validation.types import FeaturePath
from tensorflow_metadata.proto.v0 import statistics_pb2

from penstock.core.artifacts import ExampleStatistics
from penstock.core.statistics import exact
from penstock.core.statistics.integers import IntegerStatistics

BIG = 2**53


def feature(shards: list[list[int]]) -> statistics_pb2.FeatureNameStatistics:
    """Returns the statistics of a feature in shards that are pickled and merged, with the ends that TFDV has."""
    generator, accumulators = IntegerStatistics(), []
    for values in shards:
        lists = pa.array([[value] for value in values], pa.large_list(pa.int64()))
        batch = pa.RecordBatch.from_arrays([lists], ["x"])
        accumulator = generator.add_input(generator.create_accumulator(), batch)
        accumulators.append(pickle.loads(pickle.dumps(accumulator)))
    merged = generator.merge_accumulators(accumulators)
    assert list(merged) == [FeaturePath(["x"])]
    (found,) = generator.extract_output(merged).features
    found.type = statistics_pb2.FeatureNameStatistics.INT
    every = [value for values in shards for value in values]
    found.num_stats.min, found.num_stats.max = float(min(every)), float(max(every))
    return found


@pytest.mark.parametrize(
    "values",
    [
        [BIG, BIG + 1],
        [BIG + 1, BIG, BIG + 1],
        [-BIG - 1, -BIG],
        [2**63 - 1, 2**63 - 2, 2**63 - 3],
        [-(2**63), 2**63 - 1],
        [0, 1, 2],
        [BIG - 1, 5],
        [BIG],
    ],
)
def test_ends_and_the_count_are_exact(values: list[int]) -> None:
    for shards in ([values], [[value] for value in values]):
        found = feature(shards)
        ends = exact.ends(found)
        assert ends == (min(values), max(values))
        assert all(isinstance(end, int) for end in ends)
        assert exact.distinct(found) == len(set(values))


def test_small_integers_need_no_statistics_of_their_own() -> None:
    assert [one.name for one in feature([[1, 2], [3]]).custom_stats] == [
        ExampleStatistics.DISTINCT_INTEGERS,
        ExampleStatistics.REPEATED_INTEGERS,
    ]


@pytest.mark.parametrize(
    ("shards", "share"),
    [
        ([[1, 2, 3, 4]], 0),
        ([[1, 2, 2, 3], [4]], 0.25),
        ([[1, 2], [2, 3], [4, 1]], 0.5),
        ([[5], [5], [5]], 1),
        ([[*range(9000)], [*range(8995, 12_000)]], pytest.approx(0, abs=0.001)),  # of a sample
        ([[*range(9000)], [*range(4500, 9000)]], pytest.approx(0.5, abs=0.03)),
    ],
)
def test_the_share_of_integers_that_are_there_again(shards: list[list[int]], share: float) -> None:
    assert exact.repeated(feature(shards)) == share
    assert exact.repeated(feature(shards[::-1])) == share


def test_rounded_ends_of_others_are_no_integers() -> None:
    """TFX's statistics of 2**53 + 1 say 2**53: which integer it was is not known."""
    found = feature([[BIG + 1, BIG + 3]])
    found.ClearField("custom_stats")
    assert not any(isinstance(end, int) for end in exact.ends(found))
    assert exact.distinct(found) == 0
    assert exact.repeated(found) is None


@pytest.mark.parametrize(("number", "text"), [(BIG + 1, "9007199254740993"), (-3, "-3"), (0.5, "0.5"), (1e9, "1e+09")])
def test_integers_are_told_with_all_digits(number: int | float, text: str) -> None:
    assert exact.text(number) == text

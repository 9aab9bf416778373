"""What TFDV does not count of integers: how many are distinct or repeated, and the exact ends of large ones.

They are custom statistics beside TFDV's own, read by exact.py. TFDV counts distinct values of strings only; these
counts tell keys from codes and from measures. TFDV's own KMV sketch takes a microsecond per value, more than all other
statistics together. Its least and greatest are doubles, which round integers from 2**53 on.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_data_validation.arrow import arrow_util
from tensorflow_data_validation.statistics.generators import stats_generator
from tensorflow_data_validation.types import FeaturePath
from tensorflow_data_validation.utils import stats_util
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.arrow import array_util

from penstock.core.artifacts import ExampleStatistics
from penstock.core.statistics import exact
from penstock.core.statistics.distinct_count import DistinctCount, Hashes, RepeatCount


@dataclass
class Integers:
    """What was seen of one feature's integers, of which there is one at least."""

    distinct: DistinctCount
    repeated: RepeatCount
    least: int
    greatest: int

    @classmethod
    def of(cls, values: npt.NDArray[np.int64], again: npt.NDArray[np.bool_]) -> "Integers":
        """Counts values that differ from each other; `again` says which of them are there more than once."""
        distinct, repeated, hashes = DistinctCount(), RepeatCount(), _hashed(values)
        distinct.add(hashes)
        repeated.add(hashes, again)
        return cls(distinct, repeated, int(values.min()), int(values.max()))

    def merge(self, other: "Integers") -> None:
        """Adds the other's integers."""
        self.distinct.merge(other.distinct)
        self.repeated.merge(other.repeated)
        self.least, self.greatest = min(self.least, other.least), max(self.greatest, other.greatest)


type Accumulator = dict[FeaturePath, Integers]


class IntegerStatistics(stats_generator.CombinerStatsGenerator):  # type: ignore[misc]  # TFDV has no types
    """Looks at the values of each integer feature; the interface is TFDV's CombinerStatsGenerator."""

    def __init__(self) -> None:
        super().__init__("IntegerStatistics")

    def create_accumulator(self) -> Accumulator:
        return {}

    def add_input(self, accumulator: Accumulator, input_record_batch: pa.RecordBatch) -> Accumulator:
        for path, array, _ in arrow_util.enumerate_arrays(input_record_batch, None, True):
            kind = stats_util.get_feature_type_from_arrow_type(path, array.type)
            if kind == statistics_pb2.FeatureNameStatistics.INT:
                counted = pc.value_counts(array_util.flatten_nested(array, False)[0])
                values = counted.field("values").to_numpy().astype(np.int64)
                if len(values):
                    again = counted.field("counts").to_numpy() > 1
                    _add(accumulator, path, Integers.of(values, again))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Accumulator]) -> Accumulator:
        result, *others = accumulators
        for accumulator in others:
            for path, integers in accumulator.items():
                _add(result, path, integers)
        return result

    def extract_output(self, accumulator: Accumulator) -> statistics_pb2.DatasetFeatureStatistics:
        result = statistics_pb2.DatasetFeatureStatistics()
        for path, integers in accumulator.items():
            feature = result.features.add()
            feature.path.CopyFrom(path.to_proto())
            feature.custom_stats.add(name=ExampleStatistics.DISTINCT_INTEGERS, num=integers.distinct.count)
            feature.custom_stats.add(name=ExampleStatistics.REPEATED_INTEGERS, num=integers.repeated.share)
            if max(-integers.least, integers.greatest) >= exact.LARGE:
                feature.custom_stats.add(name=ExampleStatistics.LEAST_INTEGER, str=str(integers.least))
                feature.custom_stats.add(name=ExampleStatistics.GREATEST_INTEGER, str=str(integers.greatest))
        return result


def _add(accumulator: Accumulator, path: FeaturePath, integers: Integers) -> None:
    if path in accumulator:
        accumulator[path].merge(integers)
    else:
        accumulator[path] = integers


def _hashed(values: npt.NDArray[np.int64]) -> Hashes:
    """Applies the finalizer of splitmix64 (Steele et al. 2014), by which no two integers have the same hash."""
    hashes = values.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))

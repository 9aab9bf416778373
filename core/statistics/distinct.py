"""The number of distinct integers of a feature, which tells keys from codes. TFDV counts it for strings only.

It is a custom statistic beside TFDV's own. The count is exact up to 4,096 distinct values. Beyond, it is estimated from
the 4,096 smallest values of a fixed hash (KMV, Bar-Yossef et al. 2002), with a standard error of about 1.6 %. TFDV's
own KMV sketch takes a microsecond per value, more than all other statistics together.
"""

from collections.abc import Iterable

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

_SIZE = 4096

type Hashes = npt.NDArray[np.uint64]  # the smallest distinct hashes, sorted; at most _SIZE
type Accumulator = dict[FeaturePath, Hashes]


class DistinctIntegers(stats_generator.CombinerStatsGenerator):  # type: ignore[misc]  # TFDV has no types
    """Counts the distinct values of each integer feature; the interface is TFDV's CombinerStatsGenerator."""

    def __init__(self) -> None:
        super().__init__("DistinctIntegers")

    def create_accumulator(self) -> Accumulator:
        return {}

    def add_input(self, accumulator: Accumulator, input_record_batch: pa.RecordBatch) -> Accumulator:
        for path, array, _ in arrow_util.enumerate_arrays(input_record_batch, None, True):
            kind = stats_util.get_feature_type_from_arrow_type(path, array.type)
            if kind == statistics_pb2.FeatureNameStatistics.INT:
                values, _ = array_util.flatten_nested(array, False)
                _add(accumulator, path, _hashed(pc.unique(values).to_numpy().astype(np.int64)))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Accumulator]) -> Accumulator:
        result, *others = accumulators
        for accumulator in others:
            for path, hashes in accumulator.items():
                _add(result, path, hashes)
        return result

    def extract_output(self, accumulator: Accumulator) -> statistics_pb2.DatasetFeatureStatistics:
        result = statistics_pb2.DatasetFeatureStatistics()
        for path, hashes in accumulator.items():
            feature = result.features.add()
            feature.path.CopyFrom(path.to_proto())
            count = len(hashes)
            if count == _SIZE:
                count = round((_SIZE - 1) * 2.0**64 / float(hashes[-1]))
            feature.custom_stats.add(name=ExampleStatistics.DISTINCT_INTEGERS, num=count)
        return result


def _add(accumulator: Accumulator, path: FeaturePath, hashes: Hashes) -> None:
    smallest = accumulator.get(path, np.zeros(0, np.uint64))
    if len(smallest) == _SIZE:
        hashes = hashes[hashes < smallest[-1]]
    accumulator[path] = np.unique(np.concatenate([smallest, hashes]))[:_SIZE]


def _hashed(values: npt.NDArray[np.int64]) -> Hashes:
    """Applies the finalizer of splitmix64 (Steele et al. 2014), by which no two integers have the same hash."""
    hashes = values.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))

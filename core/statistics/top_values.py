"""Top values, rank histograms and numbers of distinct values, counted exactly and in bounded memory.

In memory, TFDV counts them with sketches, which miss occurrences and depend on a random seed. On Beam it counts
exactly, but moves every value. This generator counts each batch with Arrow, adds up the counts, and gives the result
that TFDV gives on Beam.

**Bounded memory.** An accumulator keeps at most `budget` bytes of values and counts. When it would need more, the
largest columns are cut to equal shares, which keep their most frequent values. After a cut:
- The number of distinct values comes from TFDV's own KMV sketch: 16,384 minima of a fixed hash, a standard error of
  about 0.8 %.
- The count of a value that was dropped and came again is too low. The error is at most the largest count that each cut
  dropped, summed over the cuts; the bound is logged.
- A value frequent enough never to be dropped keeps its exact count.

No step draws a random number.
"""

import logging
import re
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_data_validation import constants
from tensorflow_data_validation.arrow import arrow_util
from tensorflow_data_validation.statistics import stats_options
from tensorflow_data_validation.statistics.generators import stats_generator
from tensorflow_data_validation.types import FeaturePath
from tensorflow_data_validation.utils import schema_util, stats_util, top_k_uniques_stats_util
from tensorflow_data_validation.utils.top_k_uniques_stats_util import FeatureValueCount
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx_bsl.arrow import array_util
from tfx_bsl.sketches import KmvSketch

from penstock.core import csv_format
from penstock.core.artifacts import ExampleStatistics

SHARD_BUDGET = 16 << 20
MERGED_BUDGET = 64 << 20
_SKETCH_SIZE = 16384  # TFDV's
_NUMBER = re.compile(csv_format.NUMBER, re.ASCII)
_LARGE_STRING = 1024  # TFDV's: with sketches, all longer strings count as one value
logger = logging.getLogger(__name__)


class Counts:
    """The counts of one feature's values.

    `table` has the columns value, count (int64) and, if there are weights, weight (float64); after `compact` it has one
    row for each value. `sketch` exists once values were dropped. `error` bounds by how much a count is too low.
    """

    def __init__(self, table: pa.Table):
        self.table = table
        self.sketch: KmvSketch | None = None
        self.error = 0

    def add(self, other: "Counts") -> None:
        """Appends the rows of `other`; a value may then have several rows, until `compact`."""
        self.table = pa.concat_tables([self.table, other.table], promote_options="permissive")
        self.error += other.error
        if other.sketch is not None:
            self._start_sketch()
            self.sketch.Merge(other.sketch)  # type: ignore[union-attr]
        elif self.sketch is not None:
            self.sketch.AddValues(other.table["value"].combine_chunks())

    def compact(self) -> None:
        """Sums the counts and weights of each value, in the order of its first row."""
        sums = [(name, "sum") for name in self.table.column_names if name != "value"]
        grouped = self.table.group_by("value", use_threads=False).aggregate(sums)
        columns = {"value": grouped["value"], **{name: grouped[f"{name}_sum"] for name, _ in sums}}
        self.table = pa.table(columns).combine_chunks()

    def cut(self, limit: int) -> None:
        """Drops the least frequent values of a compacted table, so that at most `limit` bytes are left."""
        self._start_sketch()
        ordered = self.table.take(pc.sort_indices(self.table, sort_keys=_order("count")))
        sizes = np.full(len(ordered), ordered.nbytes / len(ordered))
        if not pa.types.is_primitive(ordered["value"].type):
            sizes = np.asarray(pc.binary_length(ordered["value"])) + 8.0 * ordered.num_columns + 1.0
        kept = int(np.searchsorted(np.cumsum(sizes), limit))
        if kept < len(ordered):
            self.error += ordered["count"][kept].as_py()
            self.table = ordered.take(pa.array(np.arange(kept)))  # a slice would hold on to all of the memory

    def _start_sketch(self) -> None:
        if self.sketch is None:
            self.sketch = KmvSketch(_SKETCH_SIZE)
            self.sketch.AddValues(self.table["value"].combine_chunks())

    def top(self, size: int, by: str) -> list[FeatureValueCount]:
        """Returns the `size` values of the highest `by` ("count" or "weight"); larger values win ties, as on Beam."""
        rows = pc.select_k_unstable(self.table, size, sort_keys=_order(by))
        top = self.table.take(rows)
        return [FeatureValueCount(*pair) for pair in zip(top["value"].to_pylist(), top[by].to_pylist(), strict=True)]

    def distinct(self) -> int:
        """Returns the number of distinct values of a compacted table, estimated once values were dropped."""
        return self.table.num_rows if self.sketch is None else int(self.sketch.Estimate())


def _order(by: str) -> list[tuple[str, str]]:
    return [(by, "descending"), ("value", "descending")]


class Accumulator(dict[FeaturePath, Counts]):
    """The Counts of each feature. `grown` is the number of bytes added since the last compaction."""

    grown = 0

    def add(self, path: FeaturePath, counts: Counts) -> None:
        """Adds counts to those of a feature. The first counts of a feature are kept, not copied."""
        self.grown += counts.table.nbytes
        if path in self:
            self[path].add(counts)
        else:
            self[path] = counts

    def fit(self, budget: int) -> None:
        """Compacts all counts, then cuts the largest ones so that all fit into `budget` bytes."""
        for counts in self.values():
            counts.compact()
        self.grown = 0
        left = budget
        by_size = sorted(self.values(), key=lambda counts: counts.table.nbytes)
        for index, counts in enumerate(by_size):
            share = left // (len(by_size) - index)  # the larger columns share what the smaller ones leave
            if counts.table.nbytes > share:
                counts.cut(share)
            left -= counts.table.nbytes


class TopValuesGenerator(stats_generator.CombinerStatsGenerator):  # type: ignore[misc]  # TFDV has no types
    """Replaces TFDV's two generators of top values and distinct values, with the results of the exact one.

    With `use_sketch_based_topk_uniques` it selects what TFDV's sketches select, but still counts exactly. Floats that
    are declared categorical are counted; strings that are declared not categorical are not. All strings of more than
    1024 bytes count as one value. The interface is TFDV's CombinerStatsGenerator.
    """

    def __init__(self, options: stats_options.StatsOptions, budget: int = SHARD_BUDGET):
        super().__init__("TopValuesGenerator", options.schema)
        self._options = options
        self._budget = budget
        schema = options.schema or schema_pb2.Schema()
        self._bytes_features = frozenset(schema_util.get_bytes_features(schema))
        self._categorical_numbers = schema_util.get_categorical_numeric_feature_types(schema)
        self._categorical_strings = schema_util.get_bytes_features_categorical_value(schema)
        self._sketch_rules = bool(options.use_sketch_based_topk_uniques)

    def create_accumulator(self) -> Accumulator:
        return Accumulator()

    def add_input(self, accumulator: Accumulator, input_record_batch: pa.RecordBatch) -> Accumulator:
        arrays = arrow_util.enumerate_arrays(input_record_batch, self._options.example_weight_map, True)
        for path, array, weights in arrays:
            if self._covers(path, array.type):
                values, rows = array_util.flatten_nested(array, weights is not None)
                if len(values):
                    accumulator.add(path, self._count(path, values, None if weights is None else weights[rows]))
        if accumulator.grown > self._budget:
            accumulator.fit(self._budget)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Accumulator]) -> Accumulator:
        result, *others = accumulators
        for accumulator in others:
            for path, counts in accumulator.items():
                result.add(path, counts)
            if result.grown > self._budget:
                result.fit(self._budget)
        return result

    def compact(self, accumulator: Accumulator) -> Accumulator:
        """Returns the accumulator, cut to the budget."""
        accumulator.fit(self._budget)
        return accumulator

    def extract_output(self, accumulator: Accumulator) -> statistics_pb2.DatasetFeatureStatistics:
        options, result = self._options, statistics_pb2.DatasetFeatureStatistics()
        size = max(options.num_top_values, options.num_rank_histogram_buckets)
        for path, counts in accumulator.items():
            if counts.sketch is not None:
                logger.info(
                    "%s: more distinct values than fit into %d MiB: their number is estimated, and counts of rare "
                    "values may be up to %d too low",
                    path,
                    self._budget >> 20,
                    counts.error,
                )
            weighted = counts.top(size, "weight") if "weight" in counts.table.column_names else None
            feature = top_k_uniques_stats_util.make_feature_stats_proto_topk_uniques(
                feature_path=path,
                num_top_values=options.num_top_values,
                num_rank_histogram_buckets=options.num_rank_histogram_buckets,
                num_unique=counts.distinct(),
                value_count_list=counts.top(size, "count"),
                weighted_value_count_list=weighted,
                frequency_threshold=options.frequency_threshold,
                weighted_frequency_threshold=options.weighted_frequency_threshold,
            )
            self._add_no_numbers(feature, counts)
            result.features.append(feature)
        return result

    def _add_no_numbers(self, feature: statistics_pb2.FeatureNameStatistics, counts: Counts) -> None:
        """Lists the strings that are no numbers, where most of those that the rank histogram has are numbers.

        One of them among thousands of numbers makes a column text, and is too rare for the histogram.
        """
        listed = feature.string_stats.rank_histogram.buckets
        if counts.table.num_rows <= len(listed) or not pa.types.is_large_binary(counts.table["value"].type):
            return
        numbers = sum(_NUMBER.fullmatch(bucket.label) is not None for bucket in listed)
        if 2 * numbers <= len(listed):
            return
        is_number = pc.match_substring_regex(counts.table["value"], f"^{csv_format.NUMBER}$")
        others = counts.table.filter(pc.invert(is_number))
        if others.num_rows:
            words = Counts(others).top(self._options.num_top_values, "count")
            labels = [(word.feature_value.decode(errors="replace"), word.count) for word in words]
            buckets = [statistics_pb2.RankHistogram.Bucket(label=label, sample_count=count) for label, count in labels]
            histogram = statistics_pb2.RankHistogram(buckets=buckets)
            feature.custom_stats.add(name=ExampleStatistics.NO_NUMBERS, rank_histogram=histogram)

    def _count(self, path: FeaturePath, values: pa.Array, weights: np.ndarray | None) -> Counts:
        if pa.types.is_binary(values.type):
            values = values.cast(pa.large_binary())
        if self._sketch_rules and not pa.types.is_primitive(values.type) and not self._keeps_large_strings(path):
            large = pc.greater(pc.binary_length(values), _LARGE_STRING)
            values = pc.if_else(large, pa.scalar(constants.LARGE_BYTES_PLACEHOLDER.encode(), values.type), values)
        if weights is None:
            counted = values.value_counts()
            return Counts(pa.table({"value": counted.field("values"), "count": counted.field("counts")}))
        ones = pa.array(np.ones(len(values), np.int64))
        counts = Counts(pa.table({"value": values, "count": ones, "weight": pa.array(weights.astype(np.float64))}))
        counts.compact()
        return counts

    def _covers(self, path: FeaturePath, array_type: pa.DataType) -> bool:
        feature_type = stats_util.get_feature_type_from_arrow_type(path, array_type)
        if feature_type == statistics_pb2.FeatureNameStatistics.STRING:
            excluded = schema_pb2.StringDomain.Categorical.CATEGORICAL_NO
            not_categorical = self._sketch_rules and self._categorical_strings.get(path) == excluded
            return path not in self._bytes_features and not not_categorical
        return bool(
            top_k_uniques_stats_util.output_categorical_numeric(self._categorical_numbers, path, feature_type)
        ) and (self._sketch_rules or feature_type == statistics_pb2.FeatureNameStatistics.INT)

    def _keeps_large_strings(self, path: FeaturePath) -> bool:
        declared = schema_pb2.StringDomain.Categorical.CATEGORICAL_YES
        return bool(self._categorical_strings.get(path) == declared)

"""Partial statistics that can be merged: TFDV's generators without Beam, and with exact top values.

`compute` turns record batches into a Partial, which any engine can transport. `merger` returns the function that adds
two of them. `statistics` turns the total into TFDV's statistics. The result depends, byte for byte, on nothing but the
Partials and their order.

    total = functools.reduce(merger(options), (compute(batches, options) for batches in shards))
    dataset_statistics, rows = statistics(total, options)
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from tensorflow_data_validation import constants
from tensorflow_data_validation.arrow import arrow_util
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_data_validation.statistics.generators import top_k_uniques_sketch_stats_generator
from tensorflow_data_validation.statistics.generators.stats_generator import CombinerStatsGenerator
from tensorflow_data_validation.statistics.stats_options import StatsOptions
from tensorflow_data_validation.utils import slicing_util
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.statistics import merge_util

from penstock.core.errors import DataError
from penstock.core.statistics import top_values

_SKETCHES = top_k_uniques_sketch_stats_generator.TopKUniquesSketchStatsGenerator
_TYPES = re.compile(r"types (\d+) and (\d+)")


@dataclass
class Partial:
    """The number of rows, and for each slice the accumulators of all generators.

    Without slices there is one entry, with the empty name.
    """

    rows: int = 0
    slices: dict[str, list[Any]] = field(default_factory=dict)


def compute(batches: Iterable[pa.RecordBatch], options: StatsOptions, seed: int = 0) -> Partial:
    """Returns the partial statistics of record batches of list columns.

    `seed` is the seed of TFDV's sample of values (`semantic_domain_stats_sample_rate`). Raises a DataError if a feature
    changes its type, or if a weight or a column to slice by is missing.
    """
    generators = _generators(options, top_values.SHARD_BUDGET)
    partial, state = Partial(), random.getstate()
    random.seed(seed)  # TFDV draws from the global generator
    try:
        for batch in batches:
            partial.rows += batch.num_rows
            for name, rows in slices(batch, options):
                accumulators = partial.slices.get(name) or [generator.create_accumulator() for generator in generators]
                partial.slices[name] = [
                    generator.add_input(accumulator, rows)
                    for generator, accumulator in zip(generators, accumulators, strict=True)
                ]
    except (KeyError, TypeError, ValueError) as error:
        raise _data_error(error) from error
    finally:
        random.setstate(state)
    for name, accumulators in partial.slices.items():
        partial.slices[name] = _each("compact", generators, accumulators)
    return partial


def merger(options: StatsOptions) -> Callable[[Partial, Partial], Partial]:
    """Returns a function that adds the second of two Partials to the first, and returns the first.

    That function raises a DataError if a feature has different types in the two.
    """
    generators = _generators(options, top_values.MERGED_BUDGET)

    def merge(total: Partial, partial: Partial) -> Partial:
        total.rows += partial.rows
        for name, accumulators in partial.slices.items():
            if name in total.slices:
                pairs = list(zip(total.slices[name], accumulators, strict=True))
                try:
                    accumulators = _each("merge_accumulators", generators, pairs)
                except (KeyError, TypeError, ValueError) as error:
                    raise _data_error(error) from error
            total.slices[name] = accumulators
        return total

    return merge


def statistics(total: Partial, options: StatsOptions) -> tuple[statistics_pb2.DatasetFeatureStatisticsList, int]:
    """Returns the statistics of a merged Partial, sorted as `ordered` does, and the number of rows."""
    generators = _generators(options, top_values.MERGED_BUDGET)
    result = statistics_pb2.DatasetFeatureStatisticsList()
    for name, accumulators in total.slices.items():
        outputs = _each("extract_output", generators, _each("compact", generators, accumulators))
        dataset = merge_util.merge_dataset_feature_statistics(outputs).datasets[0]
        dataset.name = name
        result.datasets.append(dataset)
    return ordered(result), total.rows


def ordered(result: statistics_pb2.DatasetFeatureStatisticsList) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Sorts in place: the slice of all examples, then the others by name, each with its features by path."""
    result.datasets.sort(key=lambda dataset: (dataset.name != constants.DEFAULT_SLICE_KEY, dataset.name))
    for dataset in result.datasets:
        dataset.features.sort(key=lambda feature: tuple(feature.path.step))
    return result


def slices(batch: pa.RecordBatch, options: StatsOptions) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields the name and the rows of each slice in a batch, with the columns that the options allow.

    Without slices in the options that is the whole batch, with the empty name.
    """
    batch = _allowed(batch, options)
    slicers = options.experimental_slice_functions or []
    if options.slicing_config:
        slicers = slicing_util.convert_slicing_config_to_slice_functions(options.slicing_config)
    if slicers:
        yield from slicing_util.generate_slices(batch, [slicing_util.default_slicer, *slicers])
    else:
        yield "", batch


def _generators(options: StatsOptions, budget: int) -> list[CombinerStatsGenerator]:
    """Returns TFDV's generators for the options, with exact counts in place of its sketches of top values."""
    generators = stats_impl.get_generators(options, in_memory=True)
    exact = top_values.TopValuesGenerator(options, budget)
    generators = [exact if isinstance(generator, _SKETCHES) else generator for generator in generators]
    for generator in generators:
        generator.setup()
    return generators


def _each(method: str, generators: list[CombinerStatsGenerator], arguments: list[Any]) -> list[Any]:
    return [getattr(generator, method)(argument) for generator, argument in zip(generators, arguments, strict=True)]


def _allowed(batch: pa.RecordBatch, options: StatsOptions) -> pa.RecordBatch:
    """Drops the columns that are not in `feature_allowlist`, if there is one."""
    if not options.feature_allowlist:
        return batch
    columns = {name: arrow_util.get_column(batch, name, missing_ok=True) for name in options.feature_allowlist}
    present = {name: column for name, column in columns.items() if column is not None}
    return pa.RecordBatch.from_arrays(list(present.values()), list(present))


def _data_error(error: Exception) -> DataError:
    """Returns TFDV's error about the data as one sentence, with the types' names in place of their numbers."""
    names = statistics_pb2.FeatureNameStatistics.Type
    text = _TYPES.sub(
        lambda match: f"types {names.Name(int(match[1]))} and {names.Name(int(match[2]))}", str(error.args[0])
    )
    return DataError(f"statistics: {text.rstrip('.')}: expected the same in every example; fix the data or the options")

"""Lift between the label and the other features, the only statistic that TFDV computes on Beam alone."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_data_validation import types
from tensorflow_data_validation.statistics.generators.lift_stats_generator import LiftStatsGenerator
from tensorflow_data_validation.statistics.stats_options import StatsOptions
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.statistics import merge_util

from penstock.components.statistics_gen.shard import Shard
from penstock.core.examples import records
from penstock.core.statistics import partials

logger = logging.getLogger(__name__)


def add(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, shards: Sequence[Shard], options: StatsOptions
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns the statistics of the shards with lift added, if the options have a `label_feature` and a schema.

    The lift of a feature's value is how much more frequent a label is among the rows with that value.
    """
    if options.schema is None or not options.label_feature:
        return statistics
    logger.info("label_feature: lift is computed by a Beam pipeline in this process, as TFDV does it on Beam only")
    generator = LiftStatsGenerator(
        y_path=types.FeaturePath([options.label_feature]),
        schema=options.schema,
        example_weight_map=options.example_weight_map,
        output_custom_stats=True,
    )

    def read(shard: Shard) -> Iterator[tuple[str, pa.RecordBatch]]:
        for batch in shard.batches(options):
            yield from partials.slices(batch, options)

    def serialize(name: str, dataset: statistics_pb2.DatasetFeatureStatistics) -> bytes:
        dataset.name = name
        return bytes(dataset.SerializeToString(deterministic=True))

    with tempfile.TemporaryDirectory() as folder:
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            lift = pipeline | beam.Create(list(shards), reshuffle=False) | beam.FlatMap(read) | generator.ptransform
            lift | beam.MapTuple(serialize) | beam.io.WriteToTFRecord(f"{folder}/lift", num_shards=1)
        written = sorted(record for path in Path(folder).iterdir() for batch in records.read(path) for record in batch)
    parts = [statistics_pb2.DatasetFeatureStatistics.FromString(record) for record in written]
    return partials.ordered(merge_util.merge_dataset_feature_statistics([*statistics.datasets, *parts]))

"""Transform: analyzes examples with the user's preprocessing function, then transforms them.

TFT's analysis runs in process over the engine (analysis/); only a custom PTransform analyzer runs on Beam. The outputs
have TFX's formats: `tft.TFTransformOutput` opens `transform_graph`.
"""

import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
from tensorflow_data_validation import StatsOptions
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tensorflow_transform import impl_helper
from tensorflow_transform.output_wrapper import TFTransformOutput
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io

from penstock.components.engines import Engine, fold, open_engine
from penstock.components.transform import apply, reading, splits, user_function
from penstock.components.transform import statistics as stats
from penstock.components.transform.analysis import beam
from penstock.components.transform.analysis import graph as analysis
from penstock.components.transform.analysis.cache import AnalyzerCache
from penstock.components.transform.reading import Reader
from penstock.components.transform.splits import Splits
from penstock.components.transform.statistics import StatsType
from penstock.components.transform.user_function import Traced
from penstock.core import artifacts, progress, user_modules
from penstock.core.artifacts import TaskResult
from penstock.core.errors import DataError
from penstock.core.examples import payloads
from penstock.core.examples.payloads import PayloadFormat
from penstock.core.files import atomic
from penstock.core.legacy import keras_version
from penstock.core.models import threads

logger = logging.getLogger(__name__)


def run(
    *,
    transform_graph: str,
    transformed_examples: str,
    updated_analyzer_cache: str,
    pre_transform_schema: str,
    pre_transform_stats: str,
    post_transform_schema: str,
    post_transform_stats: str,
    post_transform_anomalies: str,
    examples: str,
    schema: str,
    module_file: str = "",
    preprocessing_fn: str = "",
    splits_config: str = "",
    analyzer_cache: str | None = None,
    materialize: bool = True,
    disable_analyzer_cache: bool = False,
    custom_config: str = "",
    disable_statistics: bool = False,
    stats_options_updater_fn: str = "",
    statistics: str | None = None,
    engine: str = "local",
    keras: int = 0,
    payload_format: str = "",
) -> TaskResult:
    """Runs the component; component.py describes the arguments and outputs. `payload_format` is the examples'.

    Raises a ConfigError, ModuleError, SchemaError or DataError for a mistake that the user can fix.
    """
    keras_version.use(keras)
    splits_ = splits.resolve(splits_config, artifacts.Examples(Path(examples)))
    raw_schema = artifacts.Schema(Path(schema)).read()
    graph = artifacts.TransformGraph(Path(transform_graph))
    # The engine opens first: importing the user's module may already run TensorFlow.
    with open_engine(engine, graph.root) as engine_, progress.task("Transform") as counts:
        threads.use_one()  # a single shard is computed in this process
        function = user_modules.find(module_file, preprocessing_fn, "preprocessing_fn")
        input_statistics = _read_statistics(statistics, splits_)
        function = user_function.bind(function, custom_config, schema=raw_schema, statistics=input_statistics)
        updater = _options_updater(module_file, stats_options_updater_fn, custom_config)
        with atomic.scratch(graph.root) as folder:  # beside the result, so that moving is renaming
            traced, reader = _trace(
                user_function.Checked(function), raw_schema, splits_, folder, payloads.parse(payload_format)
            )
            cache = None if disable_analyzer_cache else _cache(analyzer_cache, updated_analyzer_cache, splits_, reader)
            source = analysis.Source(tuple(splits_.analyzed_files), reader)
            _publish(_analyze(traced, source, engine_, cache), traced, reader, graph)
        before = stats.Outputs(Path(pre_transform_stats), Path(pre_transform_schema))
        after = stats.Outputs(Path(post_transform_stats), Path(post_transform_schema), Path(post_transform_anomalies))
        taken = None if disable_statistics else _statistics(updater, raw_schema, before, graph, traced, after)
        target = artifacts.Examples(Path(transformed_examples)) if materialize else None
        counts.show(rows=_transform(_Work(splits_, reader, graph, target, taken), engine_))
    return _result(splits_, materialize)


def _options_updater(module_file: str, name: str, custom_config: str) -> Callable[..., Any] | None:
    """Returns the user's function that changes the options of the statistics; None if there is none."""
    updater = user_modules.find_optional(module_file, name, "stats_options_updater_fn")
    return user_function.bind(updater, custom_config) if updater else None


def _cache(earlier: str | None, updated: str, splits: Splits, reader: Reader) -> AnalyzerCache:
    return AnalyzerCache(Path(earlier) if earlier else None, Path(updated), splits.analyzed_files, reader)


def _read_statistics(artifact: str | None, splits: Splits) -> statistics_pb2.DatasetFeatureStatisticsList | None:
    """Returns the statistics of the first analyzed split and of the others, for a preprocessing_fn that takes them."""
    if artifact is None:
        return None
    return artifacts.ExampleStatistics(Path(artifact)).read_all(next(iter(splits.analyze)))


@dataclass(frozen=True)
class _Statistics:
    """The options of the statistics before and after the transformation, and where they are written."""

    options_before: StatsOptions
    before: stats.Outputs
    options_after: StatsOptions
    after: stats.Outputs


def _statistics(
    updater: Callable[..., Any] | None,
    raw_schema: schema_pb2.Schema,
    before: stats.Outputs,
    graph: artifacts.TransformGraph,
    traced: Traced,
    after: stats.Outputs,
) -> _Statistics:
    options = stats.options(updater, StatsType.PRE_TRANSFORM, raw_schema)
    return _Statistics(options, before, _options_after(updater, graph, traced.asset_map), after)


@dataclass(frozen=True)
class _Work:
    """What is transformed, by which graph, and where the results go."""

    splits: Splits
    reader: Reader
    graph: artifacts.TransformGraph
    target: artifacts.Examples | None  # None: no transformed examples are written
    statistics: _Statistics | None  # None: no statistics are taken


def _trace(
    function: user_function.PreprocessingFn,
    schema: schema_pb2.Schema,
    splits: Splits,
    folder: Path,
    payload_format: PayloadFormat,
) -> tuple[Traced, Reader]:
    """Traces the function over the whole schema; returns also a reader of the features that it uses.

    Checks the first examples of the splits, so that data that does not fit the schema is reported before work is done.
    """
    traced = user_function.trace(function, reading.reader(schema, None, payload_format).specs(), folder)
    reader = reading.reader(schema, sorted(traced.columns) or None, payload_format)
    filled = {name for name, files in splits.all() if any(reader.check(path) for path in files)}
    if not filled & splits.analyze.keys():
        raise DataError(f"split {', '.join(splits.analyze)}: expected examples to analyze, found none")
    return traced, reader


def _analyze(traced: Traced, source: analysis.Source, engine: Engine, cache: AnalyzerCache | None) -> Path:
    try:
        return analysis.analyze(traced, source, engine, cache)
    except analysis.NeedsBeam as operation:
        logger.info("Transform: %s is a Beam PTransform: the whole analysis runs on Beam, without a cache", operation)
        return beam.analyze(traced, source)


def _publish(model: Path, traced: Traced, reader: Reader, graph: artifacts.TransformGraph) -> None:
    """Moves an analyzed SavedModel into the artifact, after the metadata of the raw and the transformed data."""
    metadata = model / impl_helper.METADATA_DIR_NAME
    with atomic.replacing(graph.transformed_metadata) as temporary:
        metadata_io.write_metadata(metadata_io.read_metadata(str(metadata)), str(temporary))
        if traced.asset_map:
            (temporary / TFTransformOutput.ASSET_MAP).write_text(json.dumps(traced.asset_map))
    schema = schema_pb2.Schema.FromString(reader.schema)
    with atomic.replacing(graph.raw_metadata) as temporary:
        metadata_io.write_metadata(dataset_metadata.DatasetMetadata(schema), str(temporary))
    shutil.rmtree(metadata)
    shutil.rmtree(graph.transform_fn, ignore_errors=True)
    os.replace(model, graph.transform_fn)


def _transformed_schema(graph: artifacts.TransformGraph) -> schema_pb2.Schema:
    return artifacts.Schema(graph.transformed_metadata).read()


def _options_after(
    updater: Callable[..., Any] | None, graph: artifacts.TransformGraph, asset_map: Mapping[str, str]
) -> StatsOptions:
    vocabularies = {name: artifacts.SavedModel(graph.transform_fn).assets / file for name, file in asset_map.items()}
    return stats.options(updater, StatsType.POST_TRANSFORM, _transformed_schema(graph), vocabularies)


def _transform(work: _Work, engine: Engine) -> int:
    """Transforms the splits and writes their statistics; returns the number of transformed rows."""
    statistics = work.statistics
    if work.target is None and statistics is None:
        return 0
    merge = apply.merger([] if statistics is None else [statistics.options_before, statistics.options_after])
    total = engine.fold(apply.transform, merge, _shards(work))
    if total is None:
        return 0
    if statistics is not None:
        before, after = total.statistics
        stats.write(before, statistics.options_before, statistics.before)
        stats.write(after, statistics.options_after, statistics.after)
    return total.rows


def _shards(work: _Work) -> list[apply.Shard]:
    model, statistics = work.graph.transform_fn, work.statistics
    schema = _transformed_schema(work.graph).SerializeToString(deterministic=True)
    options = None if statistics is None else cloudpickle.dumps((statistics.options_before, statistics.options_after))
    shards: list[apply.Shard] = []
    for split, files in work.splits.all():
        analyzed, transformed = statistics is not None and split in work.splits.analyze, split in work.splits.transform
        if analyzed or transformed:
            prefix = artifacts.Examples.TRANSFORMED
            targets: dict[Path, Path] = {}
            if work.target is not None and transformed:
                work.target.split(split).mkdir(parents=True, exist_ok=True)
                targets = {file: work.target.shard(split, i, len(files), prefix) for i, file in enumerate(files)}
            for group in fold.groups(files):
                shard_files = tuple(apply.File(file, analyzed, transformed, targets.get(file)) for file in group)
                shards.append(apply.Shard(len(shards), model, schema, work.reader, shard_files, options))
    return shards


def _result(splits: Splits, materialize: bool) -> TaskResult:
    transformed = sorted(splits.transform) if materialize else []
    without_properties = (
        "transform_graph",
        "updated_analyzer_cache",
        "pre_transform_schema",
        "pre_transform_stats",
        "post_transform_schema",
        "post_transform_stats",
        "post_transform_anomalies",
    )
    metadata = {name: artifacts.metadata() for name in without_properties}
    metadata["transformed_examples"] = artifacts.metadata(
        split_names=transformed, payload_format=payloads.TF_EXAMPLE, file_format="tfrecords_gzip"
    )
    return TaskResult(metadata)


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))

"""Transform: analyzes examples with the user's preprocessing function, then transforms them.

TFT's analysis runs in process over the engine (analysis.py); a custom PTransform analyzer runs on Beam. The outputs
are TFX's, byte-compatible: `tft.TFTransformOutput` opens `transform_graph`.
"""

import contextlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform import impl_helper
from tensorflow_transform.output_wrapper import TFTransformOutput
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io

from penstock.components.engines import Engine, fold, open_engine
from penstock.components.transform import apply, reading, splits, user_function
from penstock.components.transform import statistics as taking
from penstock.components.transform.analysis import accumulating, beam
from penstock.components.transform.analysis import graph as analysis
from penstock.components.transform.analysis.cache import AnalyzerCache
from penstock.components.transform.reading import Reader
from penstock.components.transform.splits import Splits
from penstock.components.transform.statistics import StatsType
from penstock.components.transform.user_function import Traced
from penstock.core import artifacts, progress, user_modules
from penstock.core.artifacts import TaskResult
from penstock.core.errors import DataError
from penstock.core.files import atomic

logger = logging.getLogger(__name__)
_WORK_FOLDER = ".temp_path"  # TFX's name; beside the result, so that moving is renaming


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
) -> TaskResult:
    """Runs the component; component.py tells the arguments and outputs.

    Raises a ConfigError, ModuleError, SchemaError or DataError for what a person can mend.
    """
    names = splits.resolve(splits_config, artifacts.Examples(Path(examples)))
    raw_schema = artifacts.Schema(Path(schema)).read()
    graph = artifacts.TransformGraph(Path(transform_graph))
    # The engine opens first: importing the user's module may already run TensorFlow.
    with open_engine(engine) as engine_, progress.task("Transform") as counts:
        accumulating.use_one_thread()  # a single shard is computed here
        function = user_modules.find(module_file, preprocessing_fn, "preprocessing_fn")
        updater = user_modules.find_optional(module_file, stats_options_updater_fn, "stats_options_updater_fn")
        learnt = _statistics(statistics, names)
        function = user_function.bind(function, custom_config, schema=raw_schema, statistics=learnt)
        updater = user_function.bind(updater, custom_config) if updater else None
        with _work_folder(graph.root) as folder:
            traced, reader = _trace(user_function.Checked(function), raw_schema, names, folder)
            cache = None
            if not disable_analyzer_cache:
                previous = Path(analyzer_cache) if analyzer_cache else None
                cache = AnalyzerCache(previous, Path(updated_analyzer_cache), names.analyzed_files, reader)
            source = analysis.Source(tuple(names.analyzed_files), reader)
            _publish(_analyze(traced, source, engine_, cache), traced, raw_schema, graph)
        taken = None
        if not disable_statistics:
            taken = _Statistics(
                taking.options(updater, StatsType.PRE_TRANSFORM, raw_schema),
                taking.Outputs(Path(pre_transform_stats), Path(pre_transform_schema)),
                _options_after(updater, graph, traced.asset_map),
                taking.Outputs(Path(post_transform_stats), Path(post_transform_schema), Path(post_transform_anomalies)),
            )
        target = artifacts.Examples(Path(transformed_examples)) if materialize else None
        counts.show(rows=_transform(names, reader, graph, target, taken, engine_))
    return _result(names, materialize)


def _statistics(artifact: str | None, names: Splits) -> Any:
    """Returns the statistics of the first analyzed split, for a preprocessing_fn that has that parameter."""
    if artifact is None:
        return None
    return artifacts.ExampleStatistics(Path(artifact)).read(next(iter(names.analyze)))


@dataclass(frozen=True)
class _Statistics:
    """How statistics are taken and where they go, before and after the transformation."""

    options_before: Any
    before: taking.Outputs
    options_after: Any
    after: taking.Outputs


@contextlib.contextmanager
def _work_folder(root: Path) -> Iterator[Path]:
    folder = root / _WORK_FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # of a killed run
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _trace(
    function: user_function.PreprocessingFn, schema: schema_pb2.Schema, names: Splits, folder: Path
) -> tuple[Traced, Reader]:
    """Traces the function over the whole schema; returns a reader of the features that it uses.

    Looks at the head of the data, so that what does not fit the schema is told before work is done.
    """
    traced = user_function.trace(function, reading.reader(schema).specs(), folder)
    reader = reading.reader(schema, sorted(traced.columns) or None)
    filled = {name for name, files in names.all() if any(reader.check(path) for path in files)}
    if not filled & names.analyze.keys():
        raise DataError(f"split {', '.join(names.analyze)}: expected examples to analyze, found none")
    return traced, reader


def _analyze(traced: Traced, source: analysis.Source, engine: Engine, cache: AnalyzerCache | None) -> Path:
    try:
        return analysis.analyze(traced, source, engine, cache)
    except analysis.NeedsBeam as operation:
        logger.info("Transform: %s is a Beam PTransform: the whole analysis runs on Beam, without a cache", operation)
        return beam.analyze(traced, source)


def _publish(model: Path, traced: Traced, schema: schema_pb2.Schema, graph: artifacts.TransformGraph) -> None:
    """Moves an analyzed SavedModel into the artifact, with the metadata of both sides; the SavedModel comes last."""
    metadata = model / impl_helper.METADATA_DIR_NAME
    with atomic.replacing(graph.transformed_metadata) as temporary:
        metadata_io.write_metadata(metadata_io.read_metadata(str(metadata)), str(temporary))
        if traced.asset_map:
            (temporary / TFTransformOutput.ASSET_MAP).write_text(json.dumps(traced.asset_map))
    with atomic.replacing(graph.raw_metadata) as temporary:
        metadata_io.write_metadata(dataset_metadata.DatasetMetadata(schema), str(temporary))
    shutil.rmtree(metadata)
    shutil.rmtree(graph.transform_fn, ignore_errors=True)
    os.replace(model, graph.transform_fn)


def _transformed_schema(graph: artifacts.TransformGraph) -> schema_pb2.Schema:
    return artifacts.Schema(graph.transformed_metadata).read()


def _options_after(
    updater: Callable[..., Any] | None, graph: artifacts.TransformGraph, asset_map: Mapping[str, str]
) -> Any:
    vocabularies = {name: artifacts.SavedModel(graph.transform_fn).assets / file for name, file in asset_map.items()}
    return taking.options(updater, StatsType.POST_TRANSFORM, _transformed_schema(graph), vocabularies)


def _transform(
    names: Splits,
    reader: Reader,
    graph: artifacts.TransformGraph,
    target: artifacts.Examples | None,
    taken: _Statistics | None,
    engine: Engine,
) -> int:
    """Transforms the splits and writes their statistics; returns the number of transformed rows."""
    if target is None and taken is None:
        return 0
    merge = apply.merger([] if taken is None else [taken.options_before, taken.options_after])
    total = engine.fold(apply.transform, merge, _shards(names, reader, graph, target, taken))
    if total is None:
        return 0
    if taken is not None:
        before, after = total.statistics
        taking.write(before, taken.options_before, taken.before)
        taking.write(after, taken.options_after, taken.after)
    return total.rows


def _shards(
    names: Splits,
    reader: Reader,
    graph: artifacts.TransformGraph,
    target: artifacts.Examples | None,
    taken: _Statistics | None,
) -> list[apply.Shard]:
    schema = _transformed_schema(graph).SerializeToString(deterministic=True)
    options = None if taken is None else cloudpickle.dumps((taken.options_before, taken.options_after))
    shards: list[apply.Shard] = []
    for split, files in names.all():
        analyzed, transformed = taken is not None and split in names.analyze, split in names.transform
        if analyzed or transformed:
            prefix = artifacts.Examples.TRANSFORMED
            targets: dict[Path, Path] = {}
            if target is not None and transformed:
                target.split(split).mkdir(parents=True, exist_ok=True)
                targets = {file: target.shard(split, i, len(files), prefix) for i, file in enumerate(files)}
            for group in fold.groups(files):
                work = tuple(apply.File(file, analyzed, transformed, targets.get(file)) for file in group)
                shards.append(apply.Shard(len(shards), graph.transform_fn, schema, reader, work, options))
    return shards


def _result(names: Splits, materialize: bool) -> TaskResult:
    transformed = sorted(names.transform) if materialize else []
    plain = (
        "transform_graph",
        "updated_analyzer_cache",
        "pre_transform_schema",
        "pre_transform_stats",
        "post_transform_schema",
        "post_transform_stats",
        "post_transform_anomalies",
    )
    metadata = {name: artifacts.metadata() for name in plain}
    metadata["transformed_examples"] = artifacts.metadata(
        split_names=transformed, payload_format="FORMAT_TF_EXAMPLE", file_format="tfrecords_gzip"
    )
    return TaskResult(metadata)


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))

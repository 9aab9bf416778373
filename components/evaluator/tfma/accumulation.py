"""TFMA's metrics without Beam's per-example cost: accumulators of a shard, merged by slice.

TFMA's extractors run on whole batches, and its combiners are plain objects (create, add, merge, extract). Here the
extractors see a shard's batches, every example is added to the accumulators of its slices by TFMA's own functions, and
the merged accumulators give the metrics that TFMA's pipeline goes on with. So the results are TFMA's own.

What is not additive in this way goes through Beam as a whole: see `reason_for_beam`.
"""

import functools
import itertools
import pickle
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api import model_eval_lib
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.extractors import slice_key_extractor
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.utils import model_util, util
from tfx_bsl.tfxio import tensor_adapter, tf_example_record

from penstock.components.evaluator.tfma import defects
from penstock.core.errors import ModelError
from penstock.core.examples import records

defects.mend()

_BATCH_SIZE = 4096
_STRIPE_BYTES = 1 << 20
_MOST_STRIPES = 4  # every one of them reads the whole file
SliceKey = tuple[Any, ...]


@dataclass(frozen=True)
class Shard:
    """Every `stripes`-th batch of a file, from `stripe` on, and all that evaluating it needs."""

    file: Path
    stripe: int
    stripes: int
    config: bytes
    schema: bytes | None
    models: dict[str, str]  # the folder of each model by its name


@dataclass
class Accumulators:
    """For each slice the accumulators of the computations, the number of examples, and of those without a label."""

    rows: int
    slices: dict[SliceKey, Any]
    unlabelled: int = 0


def beam_pipeline() -> beam.Pipeline:
    """Returns a pipeline that runs in this process: Beam's default runner would fetch a server from the network first.

    Types are not checked: Beam infers narrower ones from created values than TFMA declares.
    """
    return beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(["--no_pipeline_type_check"]))


def reason_for_beam(config: Any, models: Sequence[Any], module: Any) -> str | None:
    """Returns why an evaluation needs Beam, or None if it can be accumulated shard by shard."""
    if module is not None:
        return "the module customizes the evaluation"
    if any(spec.query_key for spec in config.metrics_specs):
        return "metrics are grouped by a query key"
    options = config.options
    if options.compute_confidence_intervals.value:
        return "confidence intervals are computed"
    if options.min_slice_size.value > 1:
        return "small slices are left out"
    if any(spec.slice_keys_sql for spec in config.slicing_specs):
        return "slices are given in SQL"
    if any(model.model_type != constants.TF_GENERIC for model in models):
        return "the model carries metrics of its own"
    return None


def computations(config: Any) -> evaluator.MetricComputations:
    """Returns TFMA's computations of the metrics, those with combiners apart from those derived from them.

    TFX's Evaluator gives them no schema either, so a CalibrationPlot goes from 0 to 1 whatever the label's domain.
    """
    all_computations = metric_specs.to_computations(list(config.metrics_specs), eval_config=config)
    return evaluator._filter_and_separate_computations(all_computations)


def shards(files: Sequence[Path], config: Any, schema: schema_pb2.Schema | None, models: dict[str, str]) -> list[Shard]:
    """Returns the shards of some files: one for each small file, several stripes of a large one."""
    serialized = schema.SerializeToString() if schema is not None else None
    make = functools.partial(Shard, config=config.SerializeToString(), schema=serialized, models=models)
    sizes = {file: min(_MOST_STRIPES, -(-file.stat().st_size // _STRIPE_BYTES)) for file in files}
    return [make(file, stripe, sizes[file]) for file in files for stripe in range(sizes[file])]


def accumulate(shard: Shard) -> Accumulators:
    """Evaluates the examples of a shard."""
    config = config_pb2.EvalConfig.FromString(shard.config)
    schema = schema_pb2.Schema.FromString(shard.schema) if shard.schema is not None else None
    parts = computations(config).non_derived_computations
    preprocess, combine = evaluator._PreprocessorDoFn(parts), evaluator._ComputationsCombineFn(parts)
    slice_keys = _SliceKeys(config)
    result = Accumulators(0, {})
    groups: dict[tuple[SliceKey, ...], Any] = {}
    preprocess.setup()
    combine.setup()
    preprocess.start_bundle()
    for batch in _extracts(shard, config, schema):
        for extract in util.split_extracts(_needed(batch, parts, slice_keys.features)):
            if _is_unlabelled(extract.get(constants.LABELS_KEY)):
                result.unlabelled += 1
                continue
            result.rows += 1
            extract[constants.SLICE_KEY_TYPES_KEY] = ()
            keys = slice_keys.of(extract)
            for inputs in preprocess.process(extract):
                before = groups.get(keys)
                groups[keys] = _add(combine, combine.create_accumulator() if before is None else before, inputs)
    preprocess.finish_bundle()
    result.slices = _by_slice(groups, combine)
    return result


def _is_unlabelled(labels: Any) -> bool:
    """Whether a label is there and is NaN, which says that there is none; no metric could be computed of it."""
    if isinstance(labels, dict):
        return bool(labels) and all(map(_is_unlabelled, labels.values()))
    return isinstance(labels, np.ndarray) and labels.dtype.kind == "f" and labels.size > 0 and np.isnan(labels).all()


def _add(combine: Any, accumulator: Any, inputs: Any) -> Any:
    try:
        return combine.add_input(accumulator, inputs)
    except RuntimeError as error:  # TFMA's, around what a metric has raised
        raise _misfit(error.__cause__ or error) from error


def _misfit(error: BaseException) -> ModelError:
    told, _, rest = str(error).partition("\n")  # TFMA dumps what the metric was given below what it says
    labels = re.search(r"'labels': (.*?), '", rest)
    given = f" (labels: {labels[1]})" if labels else ""
    return ModelError(f"eval_config: a metric does not fit the labels and predictions: {told.rstrip(':.')}{given}")


def _by_slice(groups: dict[tuple[SliceKey, ...], Any], combine: Any) -> dict[SliceKey, Any]:
    """Merges the accumulators of examples that share all their slices into one for each slice.

    Adding an example costs much more than merging, so every example was added once and not once for each slice.
    Combiners may change what they merge and keep parts of it, so each merge gets copies.
    """
    members: dict[SliceKey, list[bytes]] = {}
    for keys, accumulator in groups.items():
        content = pickle.dumps(accumulator)
        for key in keys:
            members.setdefault(key, []).append(content)
    try:
        return {
            key: combine.compact(combine.merge_accumulators([pickle.loads(content) for content in contents]))
            for key, contents in members.items()
        }
    except ValueError as error:  # Keras's metrics are updated here, with what was only collected before
        raise _misfit(error.__cause__ or error) from error


def merge(parts: Sequence[Accumulators], config: Any) -> dict[SliceKey, Any]:
    """Returns the metrics of each slice, from the accumulators of all shards in their order."""
    combine = evaluator._ComputationsCombineFn(computations(config).non_derived_computations)
    combine.setup()
    keys = sorted({key for part in parts for key in part.slices}, key=repr)
    merged = {
        key: combine.merge_accumulators([part.slices[key] for part in parts if key in part.slices]) for key in keys
    }
    return {key: combine.extract_output(accumulator) for key, accumulator in merged.items()}


def write(slices: dict[SliceKey, Any], config: Any, models: Any, output: str) -> None:
    """Derives the remaining metrics, validates them and writes the results, as TFMA's pipeline does after combining."""
    parts = computations(config)
    baseline = model_util.get_baseline_model_spec(config)
    derive = evaluator._AddDerivedCrossSliceAndDiffMetrics(
        parts.derived_computations,
        parts.cross_slice_computations,
        list(config.cross_slicing_specs),
        baseline.name if baseline else None,
    )
    with beam_pipeline() as pipeline:
        sliced = (
            pipeline
            | "Slices" >> beam.Create(list(slices.items()))
            | "Derive" >> derive
            | "RemovePrivate" >> beam.MapTuple(evaluator._remove_private_metrics)
        )
        kinds = {
            constants.METRICS_KEY: metric_types.MetricKey,
            constants.PLOTS_KEY: metric_types.PlotKey,
            constants.ATTRIBUTIONS_KEY: metric_types.AttributionsKey,
        }
        evaluation = {
            name: sliced | f"Filter {name}" >> beam.Map(evaluator._filter_by_key_type, kind)
            for name, kind in kinds.items()
        }
        evaluation[constants.VALIDATIONS_KEY] = evaluation[constants.METRICS_KEY] | "Validate" >> beam.Map(
            metrics_validator.validate_metrics, config
        )
        writers = tfma.default_writers(output_path=output, eval_shared_model=models, eval_config=config)
        _ = evaluation | "Write" >> tfma.WriteResults(writers=writers)


class _SliceKeys:
    """The slices of an example. Examples with the same values in the slicing features share them."""

    def __init__(self, config: Any):
        self._specs = [slicer_lib.SingleSliceSpec(spec=spec) for spec in config.slicing_specs]
        for crossing in config.cross_slicing_specs:
            self._specs.append(slicer_lib.SingleSliceSpec(spec=crossing.baseline_spec))
            self._specs += [slicer_lib.SingleSliceSpec(spec=spec) for spec in crossing.slicing_specs]
        self._specs = list(dict.fromkeys(self._specs)) or [slicer_lib.SingleSliceSpec()]
        self._extract = slice_key_extractor.ExtractSliceKeysFn(config, materialize=False)
        self._known: dict[Any, tuple[SliceKey, ...]] = {}
        self.features = {
            name
            for spec in [*config.slicing_specs, *_crossed(config)]
            for name in [*spec.feature_keys, *spec.feature_values]
        }

    def of(self, extract: Any) -> tuple[SliceKey, ...]:
        values = tuple(_hashable(extract.get(key)) for key in _FEATURE_KEYS)
        if values not in self._known:
            (sliced,) = self._extract.process(extract, self._specs)
            self._known[values] = tuple(tuple(map(tuple, key)) for key in sliced[constants.SLICE_KEY_TYPES_KEY])
        return self._known[values]


_FEATURE_KEYS = (constants.FEATURES_KEY, constants.TRANSFORMED_FEATURES_KEY)


def _crossed(config: Any) -> list[Any]:
    return [
        spec for crossing in config.cross_slicing_specs for spec in [crossing.baseline_spec, *crossing.slicing_specs]
    ]


def _hashable(features: Any) -> Any:
    if isinstance(features, dict):
        return tuple((name, _hashable(value)) for name, value in features.items())
    return tuple(features.ravel().tolist()) if isinstance(features, np.ndarray) else repr(features)


def _needed(batch: Any, parts: Sequence[Any], slicing: set[str]) -> dict[str, Any]:
    """Drops what neither the computations nor the slices look at: splitting a batch costs per example and feature."""
    kept = {key: batch[key] for key in batch if key not in (constants.ARROW_RECORD_BATCH_KEY, constants.INPUT_KEY)}
    if any(part.preprocessors and not _reads_no_features(part.preprocessors) for part in parts):
        return kept
    for key in _FEATURE_KEYS:
        if isinstance(kept.get(key), dict):
            kept[key] = {name: value for name, value in kept[key].items() if name in slicing or isinstance(value, dict)}
    return kept


def _reads_no_features(preprocessors: Sequence[Any]) -> bool:
    return all(
        type(preprocessor) is metric_types.StandardMetricInputsPreprocessor
        and not set(_FEATURE_KEYS) & set(preprocessor.include_filter or ())
        for preprocessor in preprocessors
    )


_collected: list[Any] = []


def _collect(extracts: Any) -> None:
    _collected.append(extracts)


def _batches(shard: Shard) -> Iterator[pa.RecordBatch]:
    return itertools.islice(example_batches(shard.file, shard.schema), shard.stripe, None, shard.stripes)


def _extracts(shard: Shard, config: Any, schema: schema_pb2.Schema | None) -> list[Any]:
    """Runs TFMA's extractors, all but those that work example by example, over a shard's batches."""
    models = shared_models(config, shard.models)
    shared = models[0] if len(models) == 1 else models
    extractors = model_eval_lib.default_extractors(
        eval_shared_model=shared, eval_config=config, tensor_adapter_config=adapter_config(schema)
    )
    _collected.clear()
    with beam_pipeline() as pipeline:
        # Beam pickles and compresses created values, so the data is read inside.
        extracts = pipeline | beam.Create([shard]) | beam.FlatMap(_batches) | tfma.BatchedInputsToExtracts()
        for extractor in extractors[:-2]:  # the last two split batches and find the slices of each example
            extracts = extracts | extractor.stage_name >> extractor.ptransform
        _ = extracts | beam.Map(_collect)
    return list(_collected)


def shared_models(config: Any, folders: dict[str, str]) -> list[Any]:
    """Returns the models as TFMA takes them, in the order of the config's model_specs."""
    return [
        tfma.default_eval_shared_model(
            eval_saved_model_path=folders[spec.name], model_name=spec.name, eval_config=config
        )
        for spec in config.model_specs
    ]


def adapter_config(schema: schema_pb2.Schema | None) -> tensor_adapter.TensorAdapterConfig | None:
    if schema is None:
        return None
    tfxio = tf_example_record.TFExampleRecord("", schema=schema, raw_record_column_name=constants.ARROW_INPUT_COLUMN)
    return tensor_adapter.TensorAdapterConfig(
        arrow_schema=tfxio.ArrowSchema(), tensor_representations=tfxio.TensorRepresentations()
    )


def example_batches(file: Path, schema: bytes | None) -> Iterator[pa.RecordBatch]:
    """Yields examples as TFMA takes them: their features, and the serialized examples in a column of their own."""
    parsed = schema_pb2.Schema.FromString(schema) if schema is not None else None
    for serialized in records.read(file, _BATCH_SIZE):
        batch = records.decode(serialized, parsed)
        raw = pa.array([[record] for record in serialized], pa.large_list(pa.large_binary()))
        names = [*batch.schema.names, constants.ARROW_INPUT_COLUMN]
        yield pa.RecordBatch.from_arrays([*batch.columns, raw], names)

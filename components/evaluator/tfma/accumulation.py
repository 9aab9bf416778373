"""TFMA's metrics without Beam's cost per example: accumulators of a shard, merged by slice.

TFMA's extractors run on whole batches, and its combiners are plain objects (create, add, merge, extract). Here the
extractors see the batches of a shard, and TFMA's own functions add every example to the accumulators of its slices. The
merged accumulators give the metrics with which TFMA's pipeline continues. So the results are TFMA's own.

An evaluation that cannot be added up in this way runs on Beam as a whole: see `reason_for_beam`.
"""

import pickle
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import EvalSharedModel, Extracts
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.metrics.metric_types import (
    MetricComputation,
    MetricsDict,
    Preprocessor,
    StandardMetricInputsPreprocessor,
)
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.utils import util

from penstock.components.engines import fold
from penstock.components.engines.fold import Stripe
from penstock.components.evaluator import predictions, results
from penstock.components.evaluator.slices import FEATURE_KEYS, SliceKey, SliceKeys
from penstock.components.evaluator.tfma import defects, extraction
from penstock.core.errors import ModelError
from penstock.core.examples.payloads import PayloadFormat

defects.patch()

type Accumulator = tuple[Any, ...]  # of one slice: an accumulator for each of TFMA's combiners


@dataclass(frozen=True)
class Shard:
    """Some batches of a file, and all that evaluating them needs."""

    stripe: Stripe
    config: bytes  # a serialized EvalConfig
    schema: bytes | None  # a serialized Schema
    models: dict[str, str]  # the folder of each model by its name
    payload_format: PayloadFormat  # what the records are
    only: tuple[str, ...]  # the transformed features that are kept; empty for all


@dataclass
class Accumulators:
    """The accumulator of each slice, the number of evaluated examples, and that of examples without a label."""

    rows: int
    slices: dict[SliceKey, Accumulator]
    dropped: int = 0


def reason_for_beam(config: EvalConfig, models: Sequence[EvalSharedModel], module: ModuleType | None) -> str | None:
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


def shards(
    files: Sequence[Path],
    config: EvalConfig,
    schema: Schema | None,
    models: dict[str, str],
    payload_format: PayloadFormat,
    only: Collection[str] = (),
) -> list[Shard]:
    """Returns the shards of files, in order: one for each small file, several for a large one.

    `models` holds the folder of each model by its name; `only` is as in extraction.py.
    """
    serialized_config = config.SerializeToString()
    serialized_schema = schema.SerializeToString() if schema is not None else None
    return [
        Shard(stripe, serialized_config, serialized_schema, models, payload_format, tuple(only))
        for stripe in fold.stripes(files)
    ]


def accumulate(shard: Shard) -> Accumulators:
    """Evaluates the examples of a shard; a ModelError if a metric does not fit the labels and predictions."""
    config = EvalConfig.FromString(shard.config)
    schema = Schema.FromString(shard.schema) if shard.schema is not None else None
    computations = results.computations(config).non_derived_computations
    preprocess, combine = evaluator._PreprocessorDoFn(computations), evaluator._ComputationsCombineFn(computations)
    slice_keys, required = SliceKeys(config), extraction.required(config)
    result = Accumulators(0, {})
    groups: dict[tuple[SliceKey, ...], Accumulator] = {}
    preprocess.setup()
    combine.setup()
    preprocess.start_bundle()
    for batch in _extracts(shard, config, schema):
        for extract in util.split_extracts(_needed(batch, computations, slice_keys.features)):
            if not extraction.is_complete(extract, required):
                result.dropped += 1
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


def _add(combine: evaluator._ComputationsCombineFn, accumulator: Accumulator, inputs: Extracts) -> Accumulator:
    try:
        added: Accumulator = combine.add_input(accumulator, inputs)
    except RuntimeError as error:  # TFMA's, around the error of the metric
        raise _misfit(error.__cause__ or error) from error
    return added


def _misfit(error: BaseException) -> ModelError:
    message, _, inputs = str(error).partition("\n")  # below its message, TFMA prints the inputs of the metric
    match = re.search(r"'labels': (.*?), '", inputs)
    labels = f" (labels: {match[1]})" if match else ""
    return ModelError(f"eval_config: a metric does not fit the labels and predictions: {message.rstrip(':.')}{labels}")


def _by_slice(
    groups: dict[tuple[SliceKey, ...], Accumulator], combine: evaluator._ComputationsCombineFn
) -> dict[SliceKey, Accumulator]:
    """Merges the accumulators of groups of examples that share all their slices into one for each slice.

    Adding an example costs much more than merging. So every example was added once, not once per slice. Combiners may
    change what they merge and keep parts of it, so each merge gets copies.
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
    except ValueError as error:  # Keras's metrics collect their inputs, and compute only here
        raise _misfit(error.__cause__ or error) from error


class Merger:
    """Merges the accumulators of shards, in the order of the shards."""

    def __init__(self, config: EvalConfig):
        self._combine = evaluator._ComputationsCombineFn(results.computations(config).non_derived_computations)
        self._combine.setup()

    def merge(self, total: Accumulators, part: Accumulators) -> Accumulators:
        """Adds the second to the first, and returns the first."""
        total.rows += part.rows
        total.dropped += part.dropped
        for key, accumulator in part.slices.items():
            if key in total.slices:
                accumulator = self._combine.merge_accumulators([total.slices[key], accumulator])
            total.slices[key] = accumulator
        return total

    def metrics(self, total: Accumulators) -> dict[SliceKey, MetricsDict]:
        """Returns the metrics of each slice; the order of the slices does not depend on that of the data."""
        return {key: self._combine.extract_output(total.slices[key]) for key in sorted(total.slices, key=repr)}


def _needed(batch: Extracts, computations: Sequence[MetricComputation], slicing: set[str]) -> dict[str, Any]:
    """Drops the extracts that nobody reads: splitting a batch has a cost per example and feature.

    `slicing` holds the names of the features that slices are made of.
    """
    kept = {key: batch[key] for key in batch if key not in (constants.ARROW_RECORD_BATCH_KEY, constants.INPUT_KEY)}
    if any(each.preprocessors and not _reads_no_features(each.preprocessors) for each in computations):
        return kept
    for key in FEATURE_KEYS:
        if isinstance(kept.get(key), dict):
            kept[key] = {name: value for name, value in kept[key].items() if name in slicing or isinstance(value, dict)}
    return kept


def _reads_no_features(preprocessors: Sequence[Preprocessor]) -> bool:
    return all(
        type(preprocessor) is StandardMetricInputsPreprocessor
        and not set(FEATURE_KEYS) & set(preprocessor.include_filter or ())
        for preprocessor in preprocessors
    )


def _batches(shard: Shard) -> Iterator[pa.RecordBatch]:
    return shard.stripe.of(predictions.example_batches(shard.stripe.file, shard.schema, shard.payload_format))


def _extracts(shard: Shard, config: EvalConfig, schema: Schema | None) -> list[Extracts]:
    """Runs TFMA's extractors over a shard's batches, except the two that work example by example."""
    models = predictions.shared_models(config, shard.models)
    shared = models[0] if len(models) == 1 else models
    extractors = extraction.extractors(config, shared, schema, shard.payload_format, shard.only)

    def extracts(pipeline: beam.Pipeline) -> beam.PCollection:
        # Beam pickles and compresses created values, so the data is read inside the pipeline.
        batches = pipeline | beam.Create([shard]) | beam.FlatMap(_batches) | tfma.BatchedInputsToExtracts()
        for extractor in extractors[:-2]:  # the last two split batches and compute the slices of each example
            batches = batches | extractor.stage_name >> extractor.ptransform
        return batches

    return results.collected(extracts)

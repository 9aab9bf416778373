"""From the metrics of each slice to TFMA's results: derived metrics, validation, and the files."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from google.protobuf import json_format
from tensorflow_model_analysis import constants, version
from tensorflow_model_analysis.api.types import MaybeMultipleEvalSharedModels
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.metrics.metric_types import MetricsDict
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, EvalRun
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.utils import model_util
from tensorflow_model_analysis.writers import eval_config_writer
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writers

from penstock.components.evaluator.slices import SliceKey
from penstock.components.evaluator.tfma import intervals
from penstock.components.evaluator.tfma.intervals import Sliced
from penstock.core import artifacts
from penstock.core.files import atomic

_SMALL = (  # TFMA's words
    "Example count for this slice key is lower than the minimum required value: %d. "
    "No data is aggregated for this slice."
)
_UNKNOWN_DATA = {"data_location": "<user provided PCollection>", "file_format": "<unknown>"}  # TFMA's words
_collected: list[Any] = []


def beam_pipeline() -> beam.Pipeline:
    """Returns a pipeline that runs in this process; Beam's default runner would first download a server.

    Types are not checked, because Beam infers narrower ones from created values than TFMA declares.
    """
    return beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(["--no_pipeline_type_check"]))


def collected(elements: Callable[[beam.Pipeline], beam.PCollection]) -> list[Any]:
    """Returns the elements of a collection of a pipeline that runs in this process."""
    _collected.clear()
    with beam_pipeline() as pipeline:
        _ = elements(pipeline) | beam.Map(_collect)
    return list(_collected)


def _collect(element: Any) -> None:  # Beam pickles a function of a module by its name, and a method with its list
    _collected.append(element)


def computations(config: EvalConfig) -> evaluator.MetricComputations:
    """Returns TFMA's computations of the metrics: those with combiners, and those derived from them.

    They get no schema, as in TFX's Evaluator, so a CalibrationPlot always ranges from 0 to 1.
    """
    all_computations = metric_specs.to_computations(list(config.metrics_specs), eval_config=config)
    return evaluator._filter_and_separate_computations(all_computations)


@dataclass(frozen=True)
class Slices:
    """What TFMA's combiners give for each slice, the number of its examples, and the same of each replicate.

    There are replicates if the config has confidence intervals computed.
    """

    metrics: Mapping[SliceKey, MetricsDict]
    sizes: Mapping[SliceKey, int]
    replicates: Iterable[Mapping[SliceKey, MetricsDict]] = ()


def write(slices: Slices, config: EvalConfig, models: MaybeMultipleEvalSharedModels, output: str) -> None:
    """Derives the remaining metrics, validates them and writes the results to the folder `output`.

    These are the steps of TFMA's pipeline after its combiners, and its files; without Beam they take milliseconds in
    place of seconds.
    """
    folder = artifacts.ModelEvaluation(Path(output))
    derived = intervals.bounded(
        _derive(slices.metrics, config), (_derive(part, config) for part in slices.replicates), config
    )
    sliced = _without_small([evaluator._remove_private_metrics(*each) for each in derived], slices.sizes, config)
    metrics, plots, attributions = (
        [evaluator._filter_by_key_type(values, kind) for values in sliced]
        for kind in (metric_types.MetricKey, metric_types.PlotKey, metric_types.AttributionsKey)
    )
    shared = model_util.verify_and_update_eval_shared_models(models) or []
    validations = writers.CombineValidations(config, rubber_stamp=model_util.has_rubber_stamp(shared))
    total = validations.create_accumulator()
    for values in metrics:
        total = validations.add_input(total, metrics_validator.validate_metrics(values, config))
    contents = {
        folder.metrics: [writers.convert_slice_metrics_to_proto(values, []) for values in metrics],
        folder.plots: [writers.convert_slice_plots_to_proto(values, []) for values in plots],
        folder.attributions: [writers.convert_slice_attributions_to_proto(values) for values in attributions],
        folder.validations: [validations.extract_output(total)],
    }
    for path, messages in contents.items():
        with atomic.replacing(path) as temporary, tf.io.TFRecordWriter(str(temporary)) as append:
            for message in messages:
                append.write(message.SerializeToString(deterministic=True))
    if eval_config_writer.EVAL_CONFIG_FILE not in config.options.disabled_outputs.values:
        run = EvalRun(eval_config=config, version=version.VERSION, **_UNKNOWN_DATA)
        run.model_locations.update({model.model_name: model.model_path or "<unknown>" for model in shared})
        atomic.write_text(folder.config, json_format.MessageToJson(run) + "\n")


def _without_small(sliced: list[Sliced], sizes: Mapping[SliceKey, int], config: EvalConfig) -> list[Sliced]:
    """Replaces the metrics of slices, and of pairs of slices, with too few examples by TFMA's sentence about it."""
    least = config.options.min_slice_size.value
    sentence = _SMALL % least

    def is_small(key: SliceKey | tuple[SliceKey, SliceKey]) -> bool:
        parts = key if slicer_lib.is_cross_slice_key(key) else (key,)
        return any(part != () and sizes[part] < least for part in parts)  # type: ignore[index]

    return [(key, {constants.ERROR_METRIC_NAME: sentence} if is_small(key) else metrics) for key, metrics in sliced]


def _derive(slices: Mapping[SliceKey, MetricsDict], config: EvalConfig) -> Iterator[Sliced]:
    """Adds the metrics that are made of others, within a slice, of two slices and of two models.

    They come slice by slice: the matrices at 10,000 thresholds that some are made of take a megabyte for each.
    """
    parts, baseline = computations(config), model_util.get_baseline_model_spec(config)
    sliced: Iterable[Sliced] = ((key, derived(metrics, parts)) for key, metrics in slices.items())
    if config.cross_slicing_specs:
        sliced = _across_slices(list(sliced), config, parts)
    for key, values in sliced:
        yield key, values | _differences(values, baseline.name) if baseline else values


def derived(metrics: MetricsDict, parts: evaluator.MetricComputations) -> MetricsDict:
    """Adds the metrics that are made of others of a slice."""
    values = dict(metrics)
    with np.errstate(divide="ignore", invalid="ignore"):  # TFMA divides by zero, and knows it
        for computation in parts.derived_computations:
            values |= computation.result(values)
    return values


def _across_slices(sliced: list[Sliced], config: EvalConfig, parts: evaluator.MetricComputations) -> list[Sliced]:
    """Adds the pairs of slices that `cross_slicing_specs` names; TFMA finds them inside a pipeline only."""
    add = evaluator._AddCrossSliceMetrics(list(config.cross_slicing_specs), parts.cross_slice_computations)
    return sorted(collected(lambda pipeline: pipeline | beam.Create(sliced) | add), key=lambda pair: repr(pair[0]))


def _differences(values: MetricsDict, baseline: str) -> MetricsDict:
    """Returns how far the candidate's metrics are from those of the baseline, as TFMA does in its pipeline."""
    return {
        key.make_diff_key(): value - values[key.make_baseline_key(baseline)]
        for key, value in values.items()
        if not (evaluator._is_private_metrics(key) or key.is_diff or key.model_name == baseline)
        and key.make_baseline_key(baseline) in values
        and evaluator._is_metric_diffable(value)
    }

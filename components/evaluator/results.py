"""From the metrics of each slice to TFMA's results: derived metrics, validation, and the files."""

import apache_beam as beam
import tensorflow_model_analysis as tfma
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import MaybeMultipleEvalSharedModels
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.metrics.metric_types import MetricsDict
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.utils import model_util

from penstock.components.evaluator.slices import SliceKey


def beam_pipeline() -> beam.Pipeline:
    """Returns a pipeline that runs in this process; Beam's default runner would first download a server.

    Types are not checked, because Beam infers narrower ones from created values than TFMA declares.
    """
    return beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(["--no_pipeline_type_check"]))


def computations(config: EvalConfig) -> evaluator.MetricComputations:
    """Returns TFMA's computations of the metrics: those with combiners, and those derived from them.

    They get no schema, as in TFX's Evaluator, so a CalibrationPlot always ranges from 0 to 1.
    """
    all_computations = metric_specs.to_computations(list(config.metrics_specs), eval_config=config)
    return evaluator._filter_and_separate_computations(all_computations)


def write(
    slices: dict[SliceKey, MetricsDict], config: EvalConfig, models: MaybeMultipleEvalSharedModels, output: str
) -> None:
    """Derives the remaining metrics, validates them and writes the results to the folder `output`.

    `slices` holds the metrics of each slice. These are the steps of TFMA's pipeline after its combiners.
    """
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

"""Confidence intervals: the spread of a metric over replicates, as TFMA computes and writes it."""

from collections.abc import Iterable

from tensorflow_model_analysis.evaluators import jackknife, poisson_bootstrap
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.evaluators.confidence_intervals_util import SampleMetrics
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.metrics.metric_types import MetricsDict
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.metrics import replicates
from penstock.components.evaluator.slices import SliceKey

type Sliced = tuple[SliceKey | tuple[SliceKey, SliceKey], MetricsDict]  # the metrics of a slice, or of a pair of slices
_COMBINERS = {
    "bootstrap": (poisson_bootstrap._BootstrapSampleCombineFn, poisson_bootstrap._FULL_SAMPLE_ID),
    "jackknife": (jackknife._JackknifeSampleCombineFn, jackknife._FULL_SAMPLE_ID),
}


def bounded(sliced: Iterable[Sliced], samples: Iterable[Iterable[Sliced]], config: EvalConfig) -> Iterable[Sliced]:
    """Returns the metrics with their spread over the samples: those that TFMA gives one, if the config asks for it.

    A slice gets a sentence in place of its intervals if one of the samples leaves it without examples.
    """
    method = replicates.method(config)
    if method == "none":
        return sliced
    create, full = _COMBINERS[method]
    skipped = metric_specs.metric_keys_to_skip_for_confidence_intervals(list(config.metrics_specs), eval_config=config)
    slices = list(sliced)
    combine = create(replicates.Replicates(config).count, skipped)
    accumulators = {key: combine.create_accumulator() for key, _ in slices}
    for number, sample in enumerate(samples):
        for key, metrics in sample:
            # Nobody sees the spread of private metrics, and that of 10,000 confusion matrices takes a while.
            public = {name: value for name, value in metrics.items() if not evaluator._is_private_metrics(name)}
            combine.add_input(accumulators[key], SampleMetrics(public, number))
    for key, metrics in slices:
        combine.add_input(accumulators[key], SampleMetrics(metrics, full))
    return [(key, combine.extract_output(accumulators[key])) for key, _ in slices]

"""The metrics of each slice, read from TFMA's results as they are written."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tensorflow_model_analysis.metrics.metric_types import MetricKey
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.proto.metrics_for_slice_pb2 import ConfidenceInterval, MetricsForSlice, MetricValue
from tensorflow_model_analysis.utils import model_util
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from penstock.components.evaluator import verdict
from penstock.components.evaluator.metrics.evidence import Evidence
from penstock.components.evaluator.summary.intervals import Intervals
from penstock.components.evaluator.tfma.undefined import Undefined
from penstock.core.artifacts.evaluation_summary import Measure

_COUNT = "example_count"
type Features = tuple[tuple[str, str], ...]  # a slice: its features with their values; none of the overall slice


@dataclass(frozen=True)
class SliceMeasures:
    """A slice, the number of its examples, and the metrics of both models by their qualified names.

    `baseline` is empty without a baseline.
    """

    features: Features
    examples: int
    candidate: dict[str, Measure]
    baseline: dict[str, Measure]


def read(
    config: EvalConfig,
    evaluation: str,
    undefined: Undefined,
    examples: Mapping[Features, int],
    evidence: Mapping[Features, Evidence],
) -> list[SliceMeasures]:
    """Returns the slices in the results of that folder, the overall slice first; pairs of slices are left out.

    A metric that is no single number, such as a confusion matrix, is left out as well. One that is not defined has no
    value, where TFMA counts it as 0. `examples` says how many examples slices have; a slice of which neither it nor
    the metrics say so is left out. Where TFMA has computed no interval, `evidence` gives an approximate one.
    """
    spec, intervals = model_util.get_baseline_model_spec(config), Intervals(config)
    parts = writer.load_and_deserialize_metrics(evaluation)
    slices = [
        _slice(part, spec.name if spec is not None else None, undefined, examples, evidence, intervals)
        for part in parts
        if not part.HasField("cross_slice_key")
    ]
    return sorted(filter(None, slices), key=lambda each: len(each.features) > 0)


def _slice(
    part: MetricsForSlice,
    baseline: str | None,
    undefined: Undefined,
    examples: Mapping[Features, int],
    evidence: Mapping[Features, Evidence],
    intervals: Intervals,
) -> SliceMeasures | None:
    slice_keys, features = verdict.slice_keys(part), tuple(verdict.features(part.slice_key))
    of_candidate: dict[str, Measure] = {}
    of_baseline: dict[str, Measure] = {}
    count = examples.get(features)
    entries = {MetricKey.from_proto(entry.key): entry for entry in part.metric_keys_and_values}
    names = verdict.names(entries)
    for key, entry in entries.items():
        value = _number(entry.value)
        if value is None or key.is_diff:
            continue
        if key.name == _COUNT:
            count = round(value)
        is_defined = math.isfinite(value) and not undefined.why(key, slice_keys)
        measures = of_baseline if key.model_name == baseline else of_candidate
        measures[names[key]] = Measure(value=None)
        if is_defined:
            by_tfma = _bounded(value, entry.confidence_interval)
            measures[names[key]] = by_tfma or intervals.measure(key, value, evidence.get(features, Evidence()))
    return SliceMeasures(features, count, of_candidate, of_baseline) if count is not None else None


def _bounded(value: float, interval: ConfidenceInterval) -> Measure | None:
    """Returns a value with TFMA's bounds; None if these were not computed, or are not finite."""
    low, high = _number(interval.lower_bound), _number(interval.upper_bound)
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    return Measure(value=value, low=low, high=high)


def _number(value: MetricValue) -> float | None:
    return float(value.double_value.value) if value.WhichOneof("type") == "double_value" else None

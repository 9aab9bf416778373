"""Metrics that are not defined in a slice because all its examples are of one class.

TFMA counts them as 0, also against thresholds. So do we, for equal verdicts, but a verdict says what the 0 means.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.metrics.binary_confusion_matrices import Matrices
from tensorflow_model_analysis.metrics.metric_types import MetricKey, MetricsDict
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, MetricConfig
from tensorflow_model_analysis.slicer import slicer_lib

from penstock.components.evaluator.slices import SliceKey
from penstock.core.metrics import in_snake_case

_SHOWN = 5  # slices
_POSITIVE, _NEGATIVE = "positive", "negative"
# What TFMA's metrics divide by and tell as 0 where there is none. Its others are then NaN, which meets no threshold.
_NEEDED = {
    **dict.fromkeys(
        ("AUC", "SensitivityAtSpecificity", "SpecificityAtSensitivity", "RecallAtFalsePositiveRate"),
        (_POSITIVE, _NEGATIVE),
    ),
    **dict.fromkeys(
        ("AUCPrecisionRecall", "PrecisionAtRecall", "RecallAtPrecision", "ThresholdAtRecall"), (_POSITIVE,)
    ),
}
type _Identity = tuple[object, ...]  # what the metrics of the same confusion matrices share
type _Classes = dict[_Identity, tuple[str, ...]]  # the classes that are missing

_missing: dict[SliceKey, _Classes] = {}
_remove_private_metrics = evaluator._remove_private_metrics


def observe() -> None:
    """Has TFMA's pipelines in this process tell which slices lack a class; forgets those of earlier pipelines."""
    _missing.clear()
    evaluator._remove_private_metrics = _observed


def _observed(slice_key: SliceKey, metrics: MetricsDict) -> tuple[SliceKey, MetricsDict]:
    """Removes private metrics, as TFMA does: among them are the confusion matrices."""
    if not slicer_lib.is_cross_slice_key(slice_key):
        absent = _classes(metrics)
        if absent:
            _missing[slice_key] = absent
    removed: tuple[SliceKey, MetricsDict] = _remove_private_metrics(slice_key, metrics)
    return removed


def _classes(metrics: MetricsDict) -> _Classes:
    return {
        _identity(key): _absent(value)
        for key, value in metrics.items()
        if isinstance(value, Matrices) and not key.is_diff and _absent(value)
    }


def _absent(matrices: Matrices) -> tuple[str, ...]:
    """Returns the classes of which there is no example; the matrices of all thresholds have the same examples."""
    if not matrices.tp:
        return ()
    counts = {_POSITIVE: matrices.tp[0] + matrices.fn[0], _NEGATIVE: matrices.tn[0] + matrices.fp[0]}
    return tuple(name for name, count in counts.items() if not count)


def _identity(key: MetricKey) -> _Identity:
    return key.model_name, key.output_name, key.sub_key, key.aggregation_type, key.example_weighted


@dataclass(frozen=True)
class Undefined:
    """Which metrics are not defined in which slices; `needed` holds the classes that a metric needs, by its name."""

    needed: Mapping[str, tuple[str, ...]]
    missing: Mapping[SliceKey, _Classes]

    def why(self, key: MetricKey, slices: tuple[SliceKey, ...]) -> str:
        """Returns why a metric is not defined in a slice, or for a pair of slices; "" if it is."""
        for slice_key in slices:
            for identity, absent in self.missing.get(slice_key, {}).items():
                lacking = [name for name in self.needed.get(key.name, ()) if name in absent]
                if lacking and identity == _identity(key):
                    return f"none of its examples is {lacking[0]}"
                if lacking and _averages(key, identity):
                    return f"a class that it averages has no {lacking[0]} example"
        return ""

    def sentences(self) -> Iterator[str]:
        """Yields what to warn of: each metric that is not defined somewhere, and where."""
        for metric, needed in self.needed.items():
            slices = sorted(
                ", ".join(f"{feature}={value}" for feature, value in slice_key) or "the overall slice"
                for slice_key, classes in self.missing.items()
                if any(name in needed for absent in classes.values() for name in absent)
            )
            if slices:
                more = f" and {len(slices) - _SHOWN} more" if len(slices) > _SHOWN else ""
                yield (
                    f"{metric} is not defined for {'; '.join(slices[:_SHOWN])}{more}, where all examples are of one "
                    "class: it counts as 0 there"
                )


def observed(config: EvalConfig) -> Undefined:
    """Returns what the pipelines since `observe` have told."""
    return Undefined(_needed_by_name(config), dict(_missing))


def of_slice(config: EvalConfig, metrics: MetricsDict) -> Undefined:
    """Returns which of these metrics of one slice, the overall one, are not defined; private ones are among them."""
    return Undefined(_needed_by_name(config), {(): _classes(metrics)})


def _needed_by_name(config: EvalConfig) -> dict[str, tuple[str, ...]]:
    metrics = [metric for spec in config.metrics_specs for metric in spec.metrics]
    metrics = [metric for metric in metrics if metric.class_name in _NEEDED and not metric.module]
    return {name_of(metric): _needed(metric) for metric in metrics}


def _averages(key: MetricKey, identity: _Identity) -> bool:
    """Whether a metric is an average over classes, and these confusion matrices are those of one of them."""
    of_class = identity[2] is not None and identity[:2] == (key.model_name, key.output_name)
    return key.aggregation_type is not None and of_class


def settings(metric: MetricConfig) -> dict[str, object]:
    """Returns the arguments that a config has for a metric."""
    parsed: dict[str, object] = metric_specs._metric_config(metric.config)
    return parsed


def name_of(metric: MetricConfig) -> str:
    """Returns the name of a metric of TFMA or Keras in the results."""
    arguments, kind = settings(metric), metric_types.registered_metrics().get(metric.class_name)
    return str(arguments.get("name") or (kind(**arguments).name if kind else in_snake_case(metric.class_name)))


def _needed(metric: MetricConfig) -> tuple[str, ...]:
    curve = str(settings(metric).get("curve", "")).upper()
    return (_POSITIVE,) if curve == "PR" else _NEEDED[metric.class_name]

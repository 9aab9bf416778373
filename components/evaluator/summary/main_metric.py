"""Which metric of an EvalConfig is looked at first, and for which less is better."""

from collections.abc import Collection, Sequence

from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.metrics.metric_types import MetricKey
from tensorflow_model_analysis.proto.config_pb2 import (
    EvalConfig,
    GenericChangeThreshold,
    GenericValueThreshold,
    MetricDirection,
)

from penstock.components.evaluator import results, verdict
from penstock.core import metrics
from penstock.core.artifacts.evaluation_summary import Problem

# The first of these that is computed.
_USUAL: dict[Problem, tuple[str, ...]] = {
    "binary": ("auc", "auc_precision_recall", "binary_accuracy", "accuracy", "binary_crossentropy"),
    "multiclass": ("sparse_categorical_accuracy", "categorical_accuracy", "accuracy"),
    "regression": ("root_mean_squared_error", "mean_absolute_error", "mean_squared_error"),
    "other": (),
}


def choose(config: EvalConfig, problem: Problem, computed: Sequence[str] | None = None) -> str:
    """Returns the metric that is looked at first, "" if none tells of a model's quality.

    One with a threshold comes before others, the usual ones of the problem before these. `computed` holds the qualified
    names to choose from, by default all of the config.
    """
    names = list(dict.fromkeys(_names(config).values())) if computed is None else computed
    quality = [name for name in names if metrics.tells_quality(name)]
    for candidates in ([name for name in directions(config) if name in quality], quality):
        usual = [name for name in _USUAL[problem] if name in candidates]
        if candidates:
            return (usual or candidates)[0]
    return ""


def lower_is_better(config: EvalConfig, names: Collection[str]) -> list[str]:
    """Returns those of the metrics for which less is better: by their thresholds, else by their names."""
    known = directions(config)
    return [name for name in names if known.get(name, metrics.lower_is_better(name))]


def directions(config: EvalConfig) -> dict[str, bool]:
    """Returns the metrics with a threshold, and of each whether it is better the lower it is.

    Where the thresholds of a metric do not agree about it, its name decides.
    """
    by_key = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    names, known = _names(config), {}
    for key, thresholds in by_key.items():
        asked = {_lower_passes(threshold) for _, threshold in thresholds} - {None}
        known[names.get(key, verdict.qualified(key))] = (
            asked == {True} if len(asked) == 1 else metrics.lower_is_better(key.name)
        )
    return known


def _lower_passes(threshold: GenericValueThreshold | GenericChangeThreshold) -> bool | None:
    """Whether a threshold is passed by what is lower, or by what is higher; None if it does not say."""
    if isinstance(threshold, GenericChangeThreshold):
        known = {MetricDirection.LOWER_IS_BETTER: True, MetricDirection.HIGHER_IS_BETTER: False}
        return known.get(threshold.direction)
    bounded_above = threshold.HasField("upper_bound")
    return bounded_above if bounded_above != threshold.HasField("lower_bound") else None


def _names(config: EvalConfig) -> dict[MetricKey, str]:
    """Returns the metrics of a config with their qualified names."""
    parts = results.computations(config)
    computed = [*parts.non_derived_computations, *parts.derived_computations]
    keys = (key for computation in computed for key in computation.keys)
    return verdict.names(key for key in keys if isinstance(key, MetricKey) and not key.name.startswith("_"))

"""Puts the summary of an evaluation together."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, MetricDirection

from penstock.components.evaluator import verdict
from penstock.components.evaluator.models import EvaluatedModel
from penstock.components.evaluator.summary import measures, target
from penstock.components.evaluator.summary.measures import Features, SliceMeasures
from penstock.components.evaluator.tfma.undefined import Undefined
from penstock.core import metrics
from penstock.core.artifacts.evaluation_summary import EvaluatedModel as ModelName
from penstock.core.artifacts.evaluation_summary import EvaluationSummary, Measure, Numbers, SliceSummary

# The metric that is looked at first: the first of these that was computed.
_PREFERRED = {
    "binary": ("auc", "auc_precision_recall", "binary_accuracy", "accuracy", "binary_crossentropy"),
    "multiclass": (
        "sparse_categorical_accuracy",
        "categorical_accuracy",
        "accuracy",
        "sparse_categorical_crossentropy",
    ),
    "regression": ("root_mean_squared_error", "mean_absolute_error", "mean_squared_error"),
    "other": (),
}


def of_evaluation(
    config: EvalConfig,
    models: Sequence[EvaluatedModel],
    splits: Sequence[str],
    evaluation: str,
    undefined: Undefined,
    examples: Mapping[Features, int],
) -> EvaluationSummary:
    """Returns the summary of TFMA's results in the folder `evaluation`, which are over these splits together.

    `models` are empty where only a module can tell what they are. `examples` says how many examples slices have.
    """
    predicted = target.of_models(config, models)
    slices = measures.read(config, evaluation, undefined, examples)
    computed = list(dict.fromkeys(name for part in slices for name in part.candidate))
    thresholds = _thresholds(config)
    return EvaluationSummary(
        problem=predicted.problem,
        label=predicted.label,
        classes=list(predicted.classes),
        main_metric=_main_metric(computed, thresholds, _PREFERRED[predicted.problem]),
        lower_is_better=[name for name in computed if thresholds.get(name, metrics.lower_is_better(name))],
        splits=list(splits),
        numbers=list(_numbers(slices, splits)),
        slices=[_slice(each) for each in slices],
        importance=[],
        effects=[],
        sampled_rows=0,
    )


def _thresholds(config: EvalConfig) -> dict[str, bool]:
    """Returns the metrics with a threshold, and of each whether it is better the lower it is."""
    by_key = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    directions: dict[str, bool] = {}
    for key, thresholds in by_key.items():
        name = verdict.qualified(key)
        asked = {part.direction for _, part in thresholds if hasattr(part, "direction")} - {MetricDirection.UNKNOWN}
        lower = MetricDirection.LOWER_IS_BETTER in asked if asked else metrics.lower_is_better(key.name)
        directions[name] = lower
    return directions


def _main_metric(computed: Collection[str], thresholds: Collection[str], preferred: Sequence[str]) -> str:
    """Returns the metric that is looked at first: one with a threshold before others, the usual ones before these."""
    quality = [name for name in computed if metrics.tells_quality(name)]
    for names in ([name for name in thresholds if name in quality], quality):
        usual = [name for name in preferred if name in names]
        if usual or names:
            return (usual or names)[0]
    return ""


def _numbers(slices: Sequence[SliceMeasures], splits: Sequence[str]) -> Iterator[Numbers]:
    """Yields the numbers of the overall slice, if that is evaluated and of one split."""
    overall = next((part for part in slices if not part.features), None)
    if overall is None or len(splits) > 1:
        return
    of_models: tuple[tuple[ModelName, dict[str, Measure]], ...] = (
        ("candidate", overall.candidate),
        ("baseline", overall.baseline),
    )
    for model, measured in of_models:
        if measured:
            yield Numbers(model=model, split=splits[0], examples=overall.examples, metrics=measured)


def _slice(part: SliceMeasures) -> SliceSummary:
    return SliceSummary(
        features=list(part.features), examples=part.examples, metrics=part.candidate, baseline=part.baseline
    )

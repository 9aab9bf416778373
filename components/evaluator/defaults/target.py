"""What an evaluated model predicts: the kind of problem, and the label and its classes as the data names them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, ModelSpec

from penstock.components.evaluator.defaults.problem import Problem as Observed
from penstock.components.evaluator.eval_config import candidate
from penstock.components.evaluator.models import EvaluatedModel
from penstock.core.artifacts.evaluation_summary import Problem

# Metrics of TFMA and Keras by the problem that they are for. Others, such as Precision, are for several.
_MULTICLASS = re.compile(r"^(Sparse|Categorical|MultiClass|TopK|KLDivergence)")
_REGRESSION = re.compile(
    r"^(Mean.*Error|RootMeanSquaredError|R2Score|.*Determination|SquaredPearson|LogCoshError|Poisson)"
)
_BINARY = re.compile(
    r"^(AUC|Binary|True|False|Precision|Recall|Sensitivity|Specificity|ConfusionMatrix|BalancedAccuracy|F1Score|"
    r"MatthewsCorrelationCoefficient)"
)


@dataclass(frozen=True)
class Target:
    """What is predicted; of two classes the second is the positive one, and a regression has none."""

    problem: Problem
    label: str
    classes: tuple[str, ...] = ()


UNKNOWN = Target("other", "")


def of_models(config: EvalConfig, models: Sequence[EvaluatedModel], observed: Observed | None = None) -> Target:
    """Returns what the candidate predicts. `models` are empty where only a module can tell what they are.

    A model without code says it itself. Of another it is what was `observed` in examples, or else what the shape of its
    predictions and the metrics say; of several outputs, or where both say nothing, the problem is `other`.
    """
    spec = candidate(config)
    model = next((model for model in models if not model.spec.is_baseline), None)
    if model is None or spec.label_keys or not spec.label_key or len(model.predictions) != 1:
        return Target("other", spec.label_key)
    label = model.label
    if label is not None and spec.label_key in (label.name, label.output):
        return Target(label.problem, label.name, tuple(map(str, label.classes)))
    if observed is not None:
        return Target(observed.kind, spec.label_key, tuple(map(str, range(observed.classes))))
    (prediction,) = model.predictions.values()
    width = prediction.shape[-1] if prediction.shape is not None and len(prediction.shape) > 1 else 1
    return _by_metrics(config, spec, width)


def _by_metrics(config: EvalConfig, spec: ModelSpec, width: int | None) -> Target:
    """Returns what predictions of so many values for an example are of, None if the model does not say how many."""
    names = [metric.class_name for metrics in config.metrics_specs for metric in metrics.metrics]
    by_class = any(metrics.HasField("binarize") or metrics.HasField("aggregate") for metrics in config.metrics_specs)
    if width is not None and width > 1:
        return Target("multiclass", spec.label_key, tuple(map(str, range(width))))
    if by_class or any(map(_MULTICLASS.match, names)):
        return Target("other", spec.label_key)  # how many classes there are is not known
    if any(map(_BINARY.match, names)):
        return Target("binary", spec.label_key, ("0", "1"))
    if any(map(_REGRESSION.match, names)):
        return Target("regression", spec.label_key)
    return Target("other", spec.label_key)

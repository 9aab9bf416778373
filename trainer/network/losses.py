"""What the default model is trained for, and what is measured of it, from raw outputs [batch, members, outputs].

A class's weight is (1 / its share) ** class_weight, scaled so that the weights' mean over the rows is 1. A weighted
loss alone spoils the probabilities: its optimum is not p(class | features) but in proportion to weight * p. So the loss
adds log(weight) to the outputs that it compares, as logit adjustment does (Menon et al. 2021; Elkan 2001 for two
classes): then the optimum of the outputs themselves is log p(class | features), and predictions stay calibrated.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import ops

from penstock.core.labels import Problem

_PACKAGE = "penstock"


@dataclass(frozen=True)
class Head:
    """What is predicted.

    classes: 2 for a binary problem, any number for a multi-class one, 0 for a regression.
    mean, deviation: of the label in the training data, of a regression; the network sees it standardised.
    frequencies: the share of each class in the training data, from which predictions start; all the same if empty.
    """

    problem: Problem
    classes: int = 0
    mean: float = 0.0
    deviation: float = 1.0
    frequencies: tuple[float, ...] = ()

    @property
    def outputs(self) -> int:
        return self.classes if self.problem == "multiclass" else 1

    @property
    def monitor(self) -> str:
        """The metric of the eval split that early stopping minimises, as `fit` names it: of the ensemble as a whole."""
        return "val_mean_squared_error" if self.problem == "regression" else "val_log_loss"


def predictions(raw_outputs: Any, head: Head) -> Any:
    """Returns the ensemble's predictions, float32, of raw outputs [batch, members, outputs].

    [batch, 1], the probability of class 1, of a binary problem; [batch, classes], probabilities, of a multi-class one;
    [batch, 1], in the label's unit, of a regression. The members' predictions are averaged, not their raw outputs.
    """
    raw_outputs = ops.cast(raw_outputs, "float32")
    if head.problem == "regression":
        return ops.mean(raw_outputs, axis=1) * head.deviation + head.mean
    activation = ops.sigmoid if head.problem == "binary" else ops.softmax
    return ops.mean(activation(raw_outputs), axis=1)


@keras.saving.register_keras_serializable(_PACKAGE)
class MembersLoss(keras.losses.Loss):
    """The mean of the members' own losses: cross-entropy, or the squared error in standard deviations of the label.

    Each member learns on its own, which is what makes their mean better than any of them.
    """

    def __init__(self, head: Head | dict[str, Any], class_weight: float = 0.0, name: str = "loss", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.head, self.class_weight = _head(head), class_weight
        shares = [max(share, 1e-6) for share in self.head.frequencies]
        powers = [share**-class_weight for share in shares]
        mean = sum(share * power for share, power in zip(shares, powers, strict=True)) or 1.0
        self._weights = [power / mean for power in powers] if class_weight else []

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns [batch] losses of labels [batch, 1] and raw outputs [batch, members, outputs]."""
        if self.head.problem == "regression":
            standardised = (ops.cast(y_true, y_pred.dtype) - self.head.mean) / self.head.deviation
            return ops.mean(ops.square(y_pred - standardised[:, None, :]), axis=(1, 2))
        labels = ops.one_hot(ops.cast(y_true[:, 0], "int32"), self.head.classes, dtype=y_pred.dtype)
        # One logit stands for two whose first is 0.
        logits = y_pred if self.head.problem == "multiclass" else ops.concatenate([ops.zeros_like(y_pred), y_pred], 2)
        if not self._weights:
            return _cross_entropy(labels, logits)
        weights = ops.convert_to_tensor(self._weights, dtype=y_pred.dtype)
        return _cross_entropy(labels, logits + ops.log(weights)) * ops.sum(labels * weights, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "head": asdict(self.head), "class_weight": self.class_weight}


def _cross_entropy(labels: Any, logits: Any) -> Any:
    """[batch]: the mean over members of labels [batch, classes] and logits [batch, members, classes]."""
    return ops.mean(ops.logsumexp(logits, axis=2) - ops.sum(labels[:, None, :] * logits, axis=2), axis=1)


@keras.saving.register_keras_serializable(_PACKAGE)
class OfPredictions(keras.metrics.Metric):
    """A Keras metric of the ensemble's predictions, where the model's output is raw."""

    def __init__(self, metric: keras.metrics.Metric | dict[str, Any], head: Head | dict[str, Any], **kwargs: Any):
        inner = keras.saving.deserialize_keras_object(metric) if isinstance(metric, dict) else metric
        super().__init__(**{"name": inner.name, **kwargs})
        self.metric = inner  # after Keras's own: so its variables are known, without which JAX forgets what it counts
        self.head = _head(head)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.metric.update_state(y_true, predictions(y_pred, self.head), sample_weight)

    def result(self) -> Any:
        return self.metric.result()

    def reset_state(self) -> None:
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        metric = keras.saving.serialize_keras_object(self.metric)
        return {"name": self.name, "metric": metric, "head": asdict(self.head)}


def metrics(head: Head) -> list[keras.metrics.Metric]:
    """Returns the metrics of predictions: the one that early stopping minimises first, then one that people know."""
    of: dict[Problem, Callable[[], list[keras.metrics.Metric]]] = {
        "binary": lambda: [keras.metrics.BinaryCrossentropy("log_loss"), keras.metrics.AUC(name="auc")],
        "multiclass": lambda: [
            keras.metrics.SparseCategoricalCrossentropy("log_loss"),
            keras.metrics.SparseCategoricalAccuracy("accuracy"),
        ],
        "regression": lambda: [keras.metrics.MeanSquaredError(), keras.metrics.R2Score(name="r2")],
    }
    return [OfPredictions(metric, head) for metric in of[head.problem]()]


def _head(head: Head | dict[str, Any]) -> Head:
    if isinstance(head, Head):
        return head
    return Head(**{**head, "frequencies": tuple(head["frequencies"])})

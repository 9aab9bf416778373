"""The loss and the metrics of the default model, computed from raw outputs [batch, members, outputs].

A class's weight is (1 / its share) ** class_weight, scaled so that the mean weight over the rows is 1. A weighted loss
alone would spoil the probabilities: its optimum is proportional to weight * p(class | features). So the loss adds
log(weight) to the outputs, as logit adjustment does (Menon et al. 2021; Elkan 2001 for two classes). Then the optimum
of the outputs themselves is log p(class | features), and predictions stay calibrated.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import ops

from penstock.core.labels import Problem

_PACKAGE = "penstock"

type Config = dict[str, Any]  # the arguments of a constructor, JSON


@dataclass(frozen=True)
class Head:
    """What the model predicts.

    classes: the number of classes; 2 for a binary problem, 0 for a regression.
    mean, deviation: the label's mean and standard deviation in the training data, for a regression; the network learns
        the standardised label.
    frequencies: the share of each class in the training data, which untrained predictions start from; if empty, all
        classes start alike.
    """

    problem: Problem
    classes: int = 0
    mean: float = 0.0
    deviation: float = 1.0
    frequencies: tuple[float, ...] = ()

    @property
    def outputs(self) -> int:
        """The number of raw outputs of a member; a binary problem has one, the logit of class 1."""
        return self.classes if self.problem == "multiclass" else 1

    @property
    def monitor(self) -> str:
        """The name of the metric that early stopping minimises: on the eval split, of the ensemble as a whole."""
        return "val_mean_squared_error" if self.problem == "regression" else "val_log_loss"


def predictions(raw_outputs: keras.KerasTensor, head: Head) -> keras.KerasTensor:
    """Returns the ensemble's predictions, float32, for raw outputs [batch, members, outputs].

    binary: [batch, 1], the probability of class 1. multiclass: [batch, classes], probabilities. regression: [batch, 1],
    in the label's unit. They are the mean of the members' predictions, not of their raw outputs.
    """
    raw_outputs = ops.cast(raw_outputs, "float32")
    if head.problem == "regression":
        return ops.mean(raw_outputs, axis=1) * head.deviation + head.mean
    activation = ops.sigmoid if head.problem == "binary" else ops.softmax
    return ops.mean(activation(raw_outputs), axis=1)


@keras.saving.register_keras_serializable(_PACKAGE)
class MembersLoss(keras.losses.Loss):
    """The mean of the members' losses: cross-entropy, or the squared error of the standardised label.

    Each member learns on its own, which makes their mean better than any of them.
    """

    def __init__(self, head: Head | Config, class_weight: float = 0.0, name: str = "loss", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.head, self.class_weight = _head(head), class_weight
        shares = [max(share, 1e-6) for share in self.head.frequencies]
        powers = [share**-class_weight for share in shares]
        mean = sum(share * power for share, power in zip(shares, powers, strict=True)) or 1.0
        self._weights = [power / mean for power in powers] if class_weight else []

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Returns losses, [batch], of labels [batch, 1] and raw outputs [batch, members, outputs]."""
        if self.head.problem == "regression":
            standardised = (ops.cast(y_true, y_pred.dtype) - self.head.mean) / self.head.deviation
            return ops.mean(ops.square(y_pred - standardised[:, None, :]), axis=(1, 2))
        labels = ops.one_hot(ops.cast(y_true[:, 0], "int32"), self.head.classes, dtype=y_pred.dtype)
        # The one logit of a binary problem stands for two, of which the first is 0.
        logits = y_pred if self.head.problem == "multiclass" else ops.concatenate([ops.zeros_like(y_pred), y_pred], 2)
        if not self._weights:
            return _cross_entropy(labels, logits)
        weights = ops.convert_to_tensor(self._weights, dtype=y_pred.dtype)
        return _cross_entropy(labels, logits + ops.log(weights)) * ops.sum(labels * weights, axis=1)

    def get_config(self) -> Config:
        return {**super().get_config(), "head": asdict(self.head), "class_weight": self.class_weight}


def _cross_entropy(labels: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the members' mean, [batch], for one-hot labels [batch, classes] and logits [batch, members, classes]."""
    return ops.mean(ops.logsumexp(logits, axis=2) - ops.sum(labels[:, None, :] * logits, axis=2), axis=1)


@keras.saving.register_keras_serializable(_PACKAGE)
class OfPredictions(keras.metrics.Metric):
    """A Keras metric of the ensemble's predictions, for a model whose outputs are raw."""

    def __init__(self, metric: keras.metrics.Metric | Config, head: Head | Config, **kwargs: Any):
        inner = keras.saving.deserialize_keras_object(metric) if isinstance(metric, dict) else metric
        super().__init__(**{"name": inner.name, **kwargs})
        self.metric = inner  # after Keras's constructor, so that Keras tracks its variables: on JAX they would be lost
        self.head = _head(head)

    def update_state(
        self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> None:
        self.metric.update_state(y_true, predictions(y_pred, self.head), sample_weight)

    def result(self) -> keras.KerasTensor:
        return self.metric.result()

    def reset_state(self) -> None:
        self.metric.reset_state()

    def get_config(self) -> Config:
        metric = keras.saving.serialize_keras_object(self.metric)
        return {"name": self.name, "metric": metric, "head": asdict(self.head)}


def metrics(head: Head) -> list[keras.metrics.Metric]:
    """Returns two metrics of the predictions: the one that early stopping minimises, and one that people know."""
    metrics_of: dict[Problem, Callable[[], list[keras.metrics.Metric]]] = {
        "binary": lambda: [keras.metrics.BinaryCrossentropy("log_loss"), keras.metrics.AUC(name="auc")],
        "multiclass": lambda: [
            keras.metrics.SparseCategoricalCrossentropy("log_loss"),
            keras.metrics.SparseCategoricalAccuracy("accuracy"),
        ],
        "regression": lambda: [keras.metrics.MeanSquaredError(), keras.metrics.R2Score(name="r2")],
    }
    return [OfPredictions(metric, head) for metric in metrics_of[head.problem]()]


def _head(head: Head | Config) -> Head:
    if isinstance(head, Head):
        return head
    return Head(**{**head, "frequencies": tuple(head["frequencies"])})

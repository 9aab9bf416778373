"""One backend's way of training on some batches and of evaluating: what fitting.py's loop drives.

On TensorFlow a loop of steps is one graph, so Python is entered once for many batches; on JAX and PyTorch Keras's own
`fit` trains. Both leave the model's variables up to date after each call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

_CHUNK_SECONDS = 0.5  # how long TensorFlow trains before Python looks at the losses and the clock
_LONGEST_CHUNK = 512


class Steps(Protocol):
    """Trains and evaluates one model."""

    def start(self, batches: tf.data.Dataset) -> None:
        """Takes the batches that `run` trains on from now on."""

    def chunk(self, seconds_per_step: float | None, longest_seconds: float) -> int:
        """Returns how many steps `run` is best asked for, given what a step takes (None if that is not known)."""

    def run(self, steps: int) -> npt.NDArray[np.float32]:
        """Trains on the next batches and returns each step's loss; one that is not finite may be followed by others."""

    def evaluate(self, batches: tf.data.Dataset) -> dict[str, float]:
        """Returns the model's loss and metrics over all batches."""


def make(model: keras.Model, jit_compile: bool) -> Steps:
    return TensorFlowSteps(model, jit_compile) if keras.backend.backend() == "tensorflow" else KerasSteps(model)


class TensorFlowSteps:
    """Steps of a model on one device."""

    def __init__(self, model: keras.Model, jit_compile: bool):
        self.model = model
        model.optimizer.build(model.trainable_variables)  # no variable is made inside a graph
        self._chunk = _graph(tf.function(lambda data: train_step(model, data), jit_compile=jit_compile))
        self._test = tf.function(lambda data: model.test_step(data), reduce_retracing=True)
        self._iterator: Any = None

    def start(self, batches: tf.data.Dataset) -> None:
        self._iterator = iter(batches)

    def chunk(self, seconds_per_step: float | None, longest_seconds: float) -> int:
        if seconds_per_step is None:
            return 4  # the first is slow, as it compiles
        return int(np.clip(min(_CHUNK_SECONDS, longest_seconds) / max(seconds_per_step, 1e-6), 1, _LONGEST_CHUNK))

    def run(self, steps: int) -> npt.NDArray[np.float32]:
        losses: npt.NDArray[np.float32] = self._chunk(self._iterator, tf.constant(steps)).numpy()
        return losses

    def evaluate(self, batches: tf.data.Dataset) -> dict[str, float]:
        self.model.reset_metrics()
        for data in batches:
            self._test(data)
        return {name: float(value) for name, value in self.model.get_metrics_result().items()}


def train_step(model: keras.Model, data: Any) -> Any:
    """One step of gradient descent on a batch; returns its loss, a scalar.

    Keras's own train_step without its metrics, whose AUC takes longer than a small model's step. Within a distribution
    strategy's replica the loss is this replica's share of the whole batch's, and the optimizer sums the gradients.
    """
    inputs, label, weight = keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        loss = model.compute_loss(inputs, label, outputs, weight, training=True)
        scaled = model.optimizer.scale_loss(loss)
    variables = model.trainable_variables
    model.optimizer.apply(tape.gradient(scaled, variables), variables)
    return tf.cast(loss, tf.float32)


def _graph(step: Callable[[Any], Any]) -> Any:
    @tf.function  # type: ignore[untyped-decorator]
    def chunk(iterator: Any, steps: Any) -> Any:
        losses = tf.TensorArray(tf.float32, size=steps)
        for index in tf.range(steps):
            losses = losses.write(index, step(next(iterator)))
        return losses.stack()

    return chunk


@dataclass
class KerasSteps:
    """Steps of a model by its own `fit`, on any backend."""

    model: keras.Model
    _batches: tf.data.Dataset | None = None
    _position: int = 0

    def start(self, batches: tf.data.Dataset) -> None:
        self._batches, self._position = batches, 0

    def chunk(self, seconds_per_step: float | None, longest_seconds: float) -> int:
        return 16 if seconds_per_step is None else max(1, int(longest_seconds / max(seconds_per_step, 1e-6)))

    def run(self, steps: int) -> npt.NDArray[np.float32]:
        assert self._batches is not None
        means = _RunningMeans()
        batches = self._batches.skip(self._position).take(steps)
        self.model.fit(batches, epochs=1, verbose=0, callbacks=[means], shuffle=False)
        self._position += steps
        # The mean over the first n batches, n times, less the same of n - 1, is the loss of batch n.
        sums = np.array(means.values) * np.arange(1, len(means.values) + 1)
        return np.diff(sums, prepend=0.0).astype(np.float32)

    def evaluate(self, batches: tf.data.Dataset) -> dict[str, float]:
        results = self.model.evaluate(batches, verbose=0, return_dict=True)
        return {name: float(value) for name, value in results.items()}


class _RunningMeans(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.values.append(float((logs or {})["loss"]))

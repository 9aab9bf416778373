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

from penstock.trainer.hardware.distribution import Distribution
from penstock.trainer.loop import checkpoints

_WORKERS_CHUNK = 16  # several workers do the same number of steps at a time: they wait for one another in each
_CHUNK_SECONDS = 0.5  # how long TensorFlow trains before Python looks at the losses and the clock
_LONGEST_CHUNK = 512


class Steps(Protocol):
    """Trains and evaluates one model."""

    def start(self, batches: Any) -> None:
        """Takes the batches that `run` trains on from now on."""

    def chunk(self, seconds_per_step: float | None, longest_seconds: float) -> int:
        """Returns how many steps `run` is best asked for, given what a step takes (None if that is not known)."""

    def run(self, steps: int) -> npt.NDArray[np.float32]:
        """Trains on the next batches and returns each step's loss; one that is not finite may be followed by others."""

    def evaluate(self, batches: tf.data.Dataset) -> dict[str, float]:
        """Returns the model's loss and metrics over all batches."""


def make(model: keras.Model, plain: keras.Model, distribution: Distribution, jit_compile: bool) -> Steps:
    """Returns the steps of the backend in use.

    `model` is trained; `plain` is another of the same kind, outside of a distribution strategy, which evaluates with
    the weights of `model` (the same object where nothing is distributed).
    """
    if keras.backend.backend() == "tensorflow":
        return TensorFlowSteps(model, plain, distribution, jit_compile)
    return KerasSteps(model)


class TensorFlowSteps:
    """Steps of a model on one device, or on all of a distribution's."""

    def __init__(self, model: keras.Model, plain: keras.Model, distribution: Distribution, jit_compile: bool):
        self.model, self.plain, self.workers = model, plain, distribution.cluster is not None
        self._chunk = _graph(_step(model, distribution.strategy, jit_compile))
        self._test = tf.function(lambda data: plain.test_step(data), reduce_retracing=True)
        self._iterator: Any = None

    def start(self, batches: Any) -> None:
        self._iterator = iter(batches)

    def chunk(self, seconds_per_step: float | None, longest_seconds: float) -> int:
        if self.workers:
            return _WORKERS_CHUNK
        if seconds_per_step is None:
            return 4  # the first is slow, as it compiles
        return int(np.clip(min(_CHUNK_SECONDS, longest_seconds) / max(seconds_per_step, 1e-6), 1, _LONGEST_CHUNK))

    def run(self, steps: int) -> npt.NDArray[np.float32]:
        losses: npt.NDArray[np.float32] = self._chunk(self._iterator, tf.constant(steps)).numpy()
        return losses

    def evaluate(self, batches: tf.data.Dataset) -> dict[str, float]:
        if self.plain is not self.model:
            checkpoints.assign(self.plain.variables, checkpoints.values(self.model.variables))
        self.plain.reset_metrics()
        for data in batches:
            self._test(data)
        return {name: float(value) for name, value in self.plain.get_metrics_result().items()}


def _step(model: keras.Model, strategy: tf.distribute.Strategy | None, jit_compile: bool) -> Callable[[Any], Any]:
    """Returns a step on one batch; its result is the loss over the whole batch, whichever replica had a part of it."""
    if strategy is None:
        step: Callable[[Any], Any] = tf.function(lambda data: train_step(model, data), jit_compile=jit_compile)
        return step

    def distributed(data: Any) -> Any:
        losses = strategy.run(lambda part: train_step(model, part), args=(data,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    return distributed


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
    _batches: Any = None
    _position: int = 0

    def start(self, batches: Any) -> None:
        self._batches, self._position = batches, 0

    def chunk(self, seconds_per_step: float | None, longest_seconds: float) -> int:
        return 16 if seconds_per_step is None else max(1, int(longest_seconds / max(seconds_per_step, 1e-6)))

    def run(self, steps: int) -> npt.NDArray[np.float32]:
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

"""Training steps and evaluation on each of Keras's backends, for the loop of fitting.py.

On TensorFlow one graph runs many steps, so Python is entered once for many batches. On JAX and PyTorch Keras's `fit`
trains. On both, the model's variables are up to date after each call.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from penstock.trainer.data.input_data import Batch
from penstock.trainer.hardware.distribution import Batches, Distribution
from penstock.trainer.loop import checkpoints

_WORKERS_CHUNK = 16  # fixed, since all workers must run the same number of steps: in each they wait for one another
_CHUNK_SECONDS = 0.5  # how long TensorFlow trains before Python looks at the losses and the clock
_LONGEST_CHUNK = 512

type Step = Callable[[Batch], tf.Tensor]  # trains on a batch and returns its loss, a scalar


class Steps(Protocol):
    """Trains and evaluates one model."""

    def start(self, batches: Batches) -> None:
        """Sets the batches that `run` trains on from now on."""

    def chunk(self, seconds_per_step: float | None, longest_seconds: float) -> int:
        """Returns a good number of steps for one `run`.

        seconds_per_step: None if it is not known yet. longest_seconds: how long one `run` should take at most.
        """

    def run(self, steps: int) -> npt.NDArray[np.float32]:
        """Trains on the next batches and returns the loss of each step, [steps].

        Steps after one whose loss is not finite are run as well.
        """

    def evaluate(self, batches: tf.data.Dataset) -> dict[str, float]:
        """Returns the model's loss and metrics over all batches."""


def make(model: keras.Model, plain: keras.Model, distribution: Distribution, jit_compile: bool) -> Steps:
    """Returns the steps for Keras's backend.

    `model` is trained. `plain` evaluates with its weights: a model of the same architecture outside of any distribution
    strategy, or `model` itself where nothing is distributed.
    """
    if keras.backend.backend() == "tensorflow":
        return TensorFlowSteps(model, plain, distribution, jit_compile)
    return KerasSteps(model)


class TensorFlowSteps:
    """Steps on TensorFlow, on one device or on all devices of a distribution."""

    def __init__(self, model: keras.Model, plain: keras.Model, distribution: Distribution, jit_compile: bool):
        self.model, self.plain, self.workers = model, plain, distribution.cluster is not None
        self._chunk = _graph(_step(model, distribution.strategy, jit_compile))
        self._test = tf.function(lambda data: plain.test_step(data), reduce_retracing=True)
        self._iterator: Iterator[Batch] = iter(())

    def start(self, batches: Batches) -> None:
        self._iterator = iter(batches)

    def chunk(self, seconds_per_step: float | None, longest_seconds: float) -> int:
        if self.workers:
            return _WORKERS_CHUNK
        if seconds_per_step is None:
            return 4  # few, since the first one compiles
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


def _step(model: keras.Model, strategy: tf.distribute.Strategy | None, jit_compile: bool) -> Step:
    """Returns a step that gives the loss of the whole batch, of which each replica has a part."""
    if strategy is None:
        step: Step = tf.function(lambda batch: train_step(model, batch), jit_compile=jit_compile)
        return step

    def distributed(batch: Batch) -> tf.Tensor:
        losses = strategy.run(lambda part: train_step(model, part), args=(batch,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    return distributed


def train_step(model: keras.Model, batch: Batch) -> tf.Tensor:
    """Trains on a batch by one step of gradient descent; returns the batch's loss, a float32 scalar.

    It is Keras's train_step without the metrics, since AUC takes longer than a step of a small model. In a replica of
    a distribution strategy, the loss is the replica's share of the whole batch's; the optimizer sums the gradients.
    """
    inputs, label, weight = keras.utils.unpack_x_y_sample_weight(batch)
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        loss = model.compute_loss(inputs, label, outputs, weight, training=True)
        scaled = model.optimizer.scale_loss(loss)
    variables = model.trainable_variables
    model.optimizer.apply(tape.gradient(scaled, variables), variables)
    return tf.cast(loss, tf.float32)


def _graph(step: Step) -> Callable[[Iterator[Batch], tf.Tensor], tf.Tensor]:
    """Returns a graph that runs a number of steps and returns their losses, [steps]."""

    @tf.function  # type: ignore[untyped-decorator]
    def chunk(iterator: Iterator[Batch], steps: tf.Tensor) -> tf.Tensor:
        losses = tf.TensorArray(tf.float32, size=steps)
        for index in tf.range(steps):
            losses = losses.write(index, step(next(iterator)))
        return losses.stack()

    return chunk  # type: ignore[no-any-return]


@dataclass
class KerasSteps:
    """Steps by Keras's `fit`, on any backend."""

    model: keras.Model
    _batches: Batches = field(init=False)
    _position: int = 0

    def start(self, batches: Batches) -> None:
        self._batches, self._position = batches, 0

    def chunk(self, seconds_per_step: float | None, longest_seconds: float) -> int:
        return 16 if seconds_per_step is None else max(1, int(longest_seconds / max(seconds_per_step, 1e-6)))

    def run(self, steps: int) -> npt.NDArray[np.float32]:
        means = _RunningMeans()
        batches = self._batches.skip(self._position).take(steps)
        self.model.fit(batches, epochs=1, verbose=0, callbacks=[means], shuffle=False)
        self._position += steps
        # Keras only gives the mean loss of the first n batches: n times it is their sum, and sums differ by one loss.
        sums = np.array(means.values) * np.arange(1, len(means.values) + 1)
        return np.diff(sums, prepend=0.0).astype(np.float32)

    def evaluate(self, batches: tf.data.Dataset) -> dict[str, float]:
        results = self.model.evaluate(batches, verbose=0, return_dict=True)
        return {name: float(value) for name, value in results.items()}


class _RunningMeans(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self.values.append(float((logs or {})["loss"]))

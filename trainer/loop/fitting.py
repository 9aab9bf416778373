"""The training loop: epochs with early stopping, checkpoints to go on from, and an answer to what goes wrong.

A training is a function of its model, data and settings: killed at any moment and run again it ends with the weights of
one that was not, since a checkpoint holds the position in the data and the states of all random generators.
"""

import contextlib
import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from penstock.core.errors import ConfigError, DataError, ModelError, WorkerLost
from penstock.trainer.data.input_data import Data
from penstock.trainer.hardware.devices import Device
from penstock.trainer.hardware.distribution import Distribution
from penstock.trainer.loop import checkpoints, diverged, history, steps
from penstock.trainer.loop.checkpoints import Arrays, Checkpoints, Progress, Snapshot

logger = logging.getLogger(__name__)
type Stop = Callable[[dict[str, Any]], bool]
type Say = Callable[[str], None]
_EVALUATED_AT_ONCE = 8192  # rows, or fewer where the memory is too small
# What Keras appends to the names of layers, and Python to objects: other numbers each time a process makes a model.
_NUMBERED = re.compile(r"_\d+(?=\b|_)| at 0x[0-9a-f]+")


@dataclass(frozen=True)
class Settings:
    """How a model is trained.

    batch_size: rows of a step. More than there are means one step of all of them.
    epochs: at most so many passes over the data.
    patience: training stops after so many epochs without a better `monitor`; 0 never does.
    monitor, direction: what makes a model better, "min" or "max" of it; `val_` stands before what is measured on the
        evaluation data.
    seed: of the weights, the order of the rows, dropout.
    checkpoint_seconds: between two checkpoints within an epoch; one is written at the end of each epoch as well.
    """

    batch_size: int
    epochs: int
    patience: int = 16
    monitor: str = "val_loss"
    direction: str = "min"
    seed: int = 1
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True)
class Fitted:
    """A trained model.

    model: with the weights of the best epoch.
    history: a record for each epoch: what history.json holds.
    best_epoch: from 1.
    finished: why training ended: "epochs", "patience" or "stop".
    rows_at_once: of evaluation data that fitted into memory.
    """

    model: keras.Model
    history: list[dict[str, Any]]
    best_epoch: int
    finished: str
    rows_at_once: int


def fit(
    build: Callable[[], keras.Model],
    train: Data,
    evaluate: Data,
    settings: Settings,
    model_run_dir: Path,
    distribution: Distribution | None = None,
    device: Device | None = None,
    stop: Stop = lambda record: False,
    say: Say = lambda line: None,
) -> Fitted:
    """Trains what `build` returns, a compiled model, and returns it with the weights of its best epoch.

    Goes on from the checkpoint in `model_run_dir` where there is one of the same model, data and settings. Writes
    there TensorBoard's event files (train/, validation/) and history.json. Of several workers, all of which call this,
    only the chief writes, and all return the same. `device` decides on the precision of the layers that `build` makes,
    and on XLA; without it, both are as Keras has them.

    `stop` is asked with the record of each epoch but the last one; True ends the training. `say` is told of each epoch
    what the log is, in a line.

    Raises a DataError if the loss or `monitor` is not a number, a ModelError if not even a batch of one row fits into
    memory, and WorkerLost if another worker went away.
    """
    distribution = distribution or Distribution()
    if distribution.strategy is not None and keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"KERAS_BACKEND={keras.backend.backend()} trains on one device: expected tensorflow for several, or one"
        )
    keras.utils.set_random_seed(settings.seed)
    try:
        with _precision(device):
            model = distribution.build(build)
            plain = model if distribution.strategy is None else build()
        folder = distribution.folder(model_run_dir)
        return _Training(model, plain, train, evaluate, settings, folder, distribution, device, stop, say).run()
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError) as error:
        if distribution.cluster is None:
            raise
        raise WorkerLost(
            f"training stopped because {distribution.lost(error.message)}; run again: it goes on from the checkpoint"
        ) from None


@contextlib.contextmanager
def _precision(device: Device | None) -> Iterator[None]:
    before = keras.mixed_precision.dtype_policy()
    if device is not None:
        keras.mixed_precision.set_global_policy(device.precision)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


class _Training:
    def __init__(
        self,
        model: keras.Model,
        plain: keras.Model,
        train: Data,
        evaluate: Data,
        settings: Settings,
        model_run_dir: Path,
        distribution: Distribution,
        device: Device | None,
        stop: Stop,
        say: Say,
    ):
        self.stop, self.say = stop, say
        self.model, self.plain, self.train, self.settings = model, plain, train, settings
        self.distribution = distribution
        distribution.build(lambda: model.optimizer.build(model.trainable_variables))  # no variable is made in a graph
        jit_compile = device is not None and device.jit_compile
        self.steps = steps.make(model, plain, distribution, jit_compile)
        self.evaluate, self.rows_at_once = evaluate, _EVALUATED_AT_ONCE
        self.checkpoints = Checkpoints(model_run_dir, _fingerprint(model, train, evaluate, settings))
        how = {
            "device": device.description if device else "",
            "replicas": distribution.replicas,
            "precision": model.dtype_policy.name,
            "backend": keras.backend.backend(),
        }
        self.journal = history.Journal(model_run_dir, how)
        self.meter = history.Meter(on_gpu=device is not None and device.kind == "gpu")
        self.progress = Progress(_batch_size(settings, train, distribution))
        self.best: Arrays = []
        self.saved: Snapshot | None = None
        self.saved_at = time.monotonic()
        self.seconds_per_step: float | None = None

    def run(self) -> Fitted:
        self._go_on()
        with contextlib.closing(self.journal), contextlib.closing(self.meter):
            while not self.progress.finished:
                try:
                    self._epoch()
                except Exception as error:
                    if not _out_of_memory(error):
                        raise
                    self._back_off()
        checkpoints.assign(self.plain.variables, self.best)
        progress = self.progress
        return Fitted(self.plain, progress.history, progress.best_epoch, progress.finished, self.rows_at_once)

    def _go_on(self) -> None:
        """Takes up the checkpoint that an earlier, interrupted training left, or makes the first one."""
        stored = self._stored()
        if stored is None:
            self._save()
            return
        self._restore(stored)
        progress = self.progress
        if progress.finished:
            logger.info("training was finished in epoch %d: its best weights are used", progress.epoch)
        else:
            logger.info(
                "going on from the checkpoint: epoch %d, %s of %s rows (step %s)",
                progress.epoch + 1,
                f"{progress.row:,}",
                f"{self.train.rows:,}",
                f"{progress.steps:,}",
            )

    def _stored(self) -> Snapshot | None:
        """Returns the checkpoint to go on from: the chief's, which the other workers may not even see."""
        stored = self.checkpoints.load() if self.distribution.is_chief else None
        arrays = self.distribution.from_chief(None if stored is None else checkpoints.packed(stored))
        return None if arrays is None else checkpoints.unpacked(arrays)

    def _epoch(self) -> None:
        progress, size = self.progress, self.progress.batch_size
        self.meter.start()
        for losses, seconds in self._chunks():
            self._check(losses)
            progress.row += len(losses) * size
            progress.steps += len(losses)
            progress.loss_sum += float(losses.sum(dtype=np.float64)) * size
            progress.seconds += seconds
            if time.monotonic() - self.saved_at > self.settings.checkpoint_seconds:
                self._save()
        shares = self.meter.shares()
        rows = self.train.steps(size) * size
        results = {f"val_{name}": value for name, value in self._evaluated().items()}
        record = {
            "epoch": progress.epoch + 1,
            "loss": progress.loss_sum / rows,
            **results,
            "batch_size": size,
            "seconds": round(progress.seconds, 3),
            "examples_per_second": round(rows / max(progress.seconds, 1e-9)),
            "utilisation": shares,
        }
        progress.epoch += 1
        progress.row, progress.loss_sum, progress.seconds = 0, 0.0, 0.0
        self._judge(record)
        self._save()
        self.say(self.journal.write(progress.history, progress.best_epoch, progress.finished, self.settings.epochs))

    def _evaluated(self) -> dict[str, float]:
        """Returns the chief's results, so that all workers stop in the same epoch."""
        results = None
        while results is None:
            try:
                results = self.steps.evaluate(self.evaluate.once(self.rows_at_once))
            except Exception as error:
                if self.rows_at_once == 1 or not _out_of_memory(error):
                    raise
                size = min(self.rows_at_once, self.evaluate.rows)
                self.rows_at_once = max(1, size // 2)
                logger.warning(
                    "out of memory with %d rows of evaluation data at once: going on with %d", size, self.rows_at_once
                )
        values = self.distribution.from_chief([np.array(list(results.values()))])
        assert values is not None
        return dict(zip(results, values[0].tolist(), strict=True))

    def _chunks(self) -> Iterator[tuple[Any, float]]:
        """Trains to the end of the epoch; yields each step's loss and the seconds, some steps at a time."""
        progress, settings = self.progress, self.settings
        first, last = progress.row // progress.batch_size, self.train.steps(progress.batch_size)
        batches = self.distribution.batches(self.train, progress.batch_size, progress.epoch, settings.seed, first)
        self.steps.start(batches)
        while first < last:
            count = min(self.steps.chunk(self.seconds_per_step, settings.checkpoint_seconds), last - first)
            started = time.monotonic()
            losses = self.steps.run(count)
            seconds = time.monotonic() - started
            # What the first steps took is mostly their compilation.
            self.seconds_per_step = None if self.seconds_per_step is None and not first else seconds / count
            first += count
            yield losses, seconds

    def _judge(self, record: dict[str, Any]) -> None:
        """Adds an epoch to the history, keeps its weights if it is the best, and decides whether it was the last."""
        progress, settings = self.progress, self.settings
        if settings.monitor not in record:
            measured = ", ".join(name for name, value in record.items() if isinstance(value, float))
            raise ModelError(f"monitor: the model does not measure {settings.monitor!r}: expected one of {measured}")
        value = float(record[settings.monitor])
        if not np.isfinite(value):
            raise self._not_evaluated(f"{settings.monitor} is {value}")
        better = value if settings.direction == "min" else -value
        best = progress.best if settings.direction == "min" or progress.best is None else -progress.best
        if best is None or better < best:
            progress.best, progress.best_epoch = value, progress.epoch
            self.best = checkpoints.values(self.model.variables)
        progress.history.append(record)
        if settings.patience and progress.epoch - progress.best_epoch >= settings.patience:
            progress.finished = "patience"
        elif progress.epoch >= settings.epochs:
            progress.finished = "epochs"
        elif self.stop(record):
            progress.finished = "stop"

    def _check(self, losses: Any) -> None:
        """Raises a DataError that shows the batch whose loss is not finite."""
        bad = np.flatnonzero(~np.isfinite(losses))
        if not len(bad):
            return
        first = int(bad[0])
        raise self._diverged(
            f"the loss is {losses[first]} at",
            self.progress.epoch,
            self.progress.row // self.progress.batch_size + first,
            self.progress.steps + first,
        )

    def _not_evaluated(self, what: str) -> DataError:
        """Blames the evaluation data where that holds what is no number, else the last step, whose own loss was one."""
        for inputs, label, *_ in self.evaluate.once(self.rows_at_once).as_numpy_iterator():
            columns = {**inputs, "label": label}
            if not all(np.isfinite(values).all() for values in columns.values()):
                return DataError(
                    f"{what}: the evaluation data holds what is no number: {diverged.ranges(columns)}; mend it"
                )
        last = self.train.steps(self.progress.batch_size) - 1
        return self._diverged(f"{what} after", self.progress.epoch - 1, last, self.progress.steps - 1)

    def _diverged(self, what: str, epoch: int, batch: int, step: int) -> DataError:
        """Tells of a step that led to what is no number: all three are counted from 0, the batch within its epoch."""
        inputs, label, *_ = self.train.batch(self.progress.batch_size, epoch, self.settings.seed, batch)
        return DataError(
            f"{what} step {step + 1} (epoch {epoch + 1}, batch {batch + 1}), with a learning rate of "
            f"{diverged.learning_rate(self.model.optimizer, step):.3g}; the features in that batch: "
            f"{diverged.ranges({**inputs, 'label': label})}; mend what is out of range, or lower training.learning_rate"
        )

    def _save(self) -> None:
        progress = Progress(**asdict(self.progress))
        model, optimizer = checkpoints.values(self.model.variables), checkpoints.values(self.model.optimizer.variables)
        self.saved = Snapshot(progress, model, optimizer, self.best)
        if self.distribution.is_chief:
            self.checkpoints.save(self.saved)
        self.saved_at = time.monotonic()

    def _restore(self, snapshot: Snapshot) -> None:
        self.progress, self.best = Progress(**asdict(snapshot.progress)), snapshot.best
        checkpoints.assign(self.model.variables, snapshot.model)
        checkpoints.assign(self.model.optimizer.variables, snapshot.optimizer)
        self.saved = snapshot

    def _back_off(self) -> None:
        """Halves the batch and goes back to the last checkpoint, whose row is where the smaller batches go on."""
        assert self.saved is not None
        size = self.progress.batch_size
        if self.distribution.cluster is not None:  # the others wait in the middle of this step
            raise ModelError(f"a worker is out of memory with a batch of {size}: choose a smaller batch_size") from None
        if size <= self.distribution.replicas:
            raise ModelError("the model does not fit into the device's memory with a batch of one row") from None
        self._restore(self.saved)
        self.progress.batch_size = smaller = self.distribution.evenly(size // 2)
        self.progress.row -= self.progress.row % smaller
        logger.warning(
            "out of memory with a batch of %d: going on with %d from epoch %d, row %d",
            size,
            smaller,
            self.progress.epoch + 1,
            self.progress.row,
        )


def _batch_size(settings: Settings, train: Data, distribution: Distribution) -> int:
    if settings.batch_size > train.rows:
        logger.warning(
            "batch_size %d is larger than the %d rows to train on: each epoch is one step of all of them",
            settings.batch_size,
            train.rows,
        )
    size = min(settings.batch_size, train.rows)
    shared = distribution.evenly(size)
    if shared != size:
        logger.warning("batch_size %d is made %d: %d replicas share it evenly", size, shared, distribution.replicas)
    return shared


def _fingerprint(model: keras.Model, train: Data, evaluate: Data, settings: Settings) -> dict[str, str]:
    variables = [
        (variable.path, tuple(variable.shape), variable.dtype)
        for variable in [*model.variables, *model.optimizer.variables]
    ]
    described = repr((variables, model.get_config(), model.get_compile_config()))
    described = _NUMBERED.sub("", described)
    asked = {key: value for key, value in asdict(settings).items() if key != "checkpoint_seconds"}
    return {
        "model": hashlib.sha256(described.encode()).hexdigest(),
        "data set": f"{train.fingerprint} {evaluate.fingerprint}",
        "settings": repr(asked),
    }


def _out_of_memory(error: BaseException) -> bool:
    """Whether an exception of any backend says that a device's memory, or the machine's, is used up."""
    if isinstance(error, tf.errors.ResourceExhaustedError | MemoryError):
        return True
    names = {type(error).__name__, *(base.__name__ for base in type(error).__mro__)}
    return "OutOfMemoryError" in names or ("XlaRuntimeError" in names and "RESOURCE_EXHAUSTED" in str(error))

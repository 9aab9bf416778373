"""The training loop: epochs with early stopping, checkpoints to resume from, and smaller batches if memory runs out.

The trained weights depend on the model, the data and the settings alone. A training that is killed and run again ends
with the same weights, since a checkpoint holds the position in the data and the states of all random generators.
"""

import contextlib
import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from penstock.core.errors import ConfigError, DataError, ModelError, WorkerLost
from penstock.trainer.data.input_data import Data
from penstock.trainer.hardware.devices import Device
from penstock.trainer.hardware.distribution import Distribution
from penstock.trainer.loop import checkpoints, diverged, history, steps
from penstock.trainer.loop.checkpoints import Arrays, Checkpoints, EpochRecord, Progress, Snapshot

logger = logging.getLogger(__name__)
type Stop = Callable[[EpochRecord], bool]
type Say = Callable[[str], None]
_EVALUATED_AT_ONCE = 8192  # rows, or fewer where the memory is too small
# Keras appends numbers to the names of layers, and Python prints addresses: both differ from process to process.
_NUMBERED = re.compile(r"_\d+(?=\b|_)| at 0x[0-9a-f]+")


@dataclass(frozen=True)
class Settings:
    """How a model is trained.

    batch_size: the rows of a step; if there are fewer rows, a step takes them all.
    epochs: the most passes over the data.
    patience: training stops after so many epochs without a better `monitor`; with 0, it never stops early.
    monitor, direction: the metric that decides which epoch is best, and whether "min" or "max" of it is better. Metrics
        on the evaluation data have the prefix `val_`.
    seed: of the weights, of the order of the rows, and of dropout.
    checkpoint_seconds: the time between two checkpoints in an epoch. Each epoch ends with a checkpoint as well.
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

    model: has the weights of the best epoch.
    history: the records of the epochs, as in history.json.
    best_epoch: from 1.
    finished: why training ended: "epochs", "patience" or "stop".
    rows_at_once: how many rows of evaluation data fit into memory as one batch.
    """

    model: keras.Model
    history: list[EpochRecord]
    best_epoch: int
    finished: str
    rows_at_once: int


def fit(
    build: Callable[[], keras.Model],
    train: Data,
    evaluate: Data,
    settings: Settings,
    model_run_dir: Path,
    *,
    distribution: Distribution | None = None,
    device: Device | None = None,
    stop: Stop = lambda record: False,
    say: Say = lambda line: None,
) -> Fitted:
    """Trains a model, and returns it with the weights of its best epoch.

    Resumes from the checkpoint in `model_run_dir`, if that is of the same model, data and settings. Writes history.json
    and TensorBoard's event files (train/, validation/) there.

    Args:
        build: makes the model, compiled.
        train, evaluate: the rows to train on and to evaluate on.
        settings: how the model is trained.
        model_run_dir: the folder for checkpoint, history and event files.
        distribution: several devices or workers; one device by default. All workers must call this, and all return the
            same; only the chief writes.
        device: sets the precision of the layers that `build` makes, and whether XLA compiles the steps. Without it,
            precision is Keras's setting and XLA is not used.
        stop: is called with the record of each epoch, and ends the training by True.
        say: is called with a line about each epoch.

    Raises a DataError if the loss or `monitor` is not finite, and WorkerLost if another worker is lost. Raises a
    ModelError if the memory is too small for a batch of one row, or if the model does not measure `monitor`.
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
        training = _Training(
            model=model,
            plain=plain,
            train=train,
            evaluate=evaluate,
            settings=settings,
            model_run_dir=distribution.folder(model_run_dir),
            distribution=distribution,
            device=device,
            stop=stop,
            say=say,
        )
        return training.run()
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError) as error:
        if distribution.cluster is None:
            raise
        raise WorkerLost(
            f"training stopped because {distribution.lost(error.message)}; run again to resume from the checkpoint"
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
    """The state of one call of `fit`; `model` and `plain` are those of steps.make."""

    def __init__(
        self,
        *,
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
        # Before the first step, since its graph cannot make variables.
        distribution.build(lambda: model.optimizer.build(model.trainable_variables))
        jit_compile = device is not None and device.jit_compile
        self.steps = steps.make(model, plain, distribution, jit_compile)
        self.evaluate, self.rows_at_once = evaluate, _EVALUATED_AT_ONCE
        self.checkpoints = Checkpoints(model_run_dir, _fingerprints(model, train, evaluate, settings))
        setup = {
            "device": device.description if device else "",
            "replicas": distribution.replicas,
            "precision": model.dtype_policy.name,
            "backend": keras.backend.backend(),
        }
        self.journal = history.Journal(model_run_dir, setup)
        self.meter = history.Meter(on_gpu=device is not None and device.kind == "gpu")
        self.progress = Progress(_batch_size(settings, train, distribution))
        self.best: Arrays = []
        self.saved: Snapshot | None = None
        self.saved_at = time.monotonic()
        self.seconds_per_step: float | None = None

    def run(self) -> Fitted:
        self._resume()
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

    def _resume(self) -> None:
        """Restores the checkpoint of an interrupted training, or saves the first one."""
        snapshot = self._checkpoint()
        if snapshot is None:
            self._save()
            return
        self._restore(snapshot)
        progress = self.progress
        if progress.finished:
            logger.info("training was finished in epoch %d: its best weights are used", progress.epoch)
        else:
            logger.info(
                "resuming from the checkpoint: epoch %d, %s of %s rows (step %s)",
                progress.epoch + 1,
                f"{progress.row:,}",
                f"{self.train.rows:,}",
                f"{progress.steps:,}",
            )

    def _checkpoint(self) -> Snapshot | None:
        """Returns the chief's checkpoint on every worker; the others may have no access to its file."""
        snapshot = self.checkpoints.load() if self.distribution.is_chief else None
        arrays = self.distribution.from_chief(None if snapshot is None else checkpoints.packed(snapshot))
        return None if arrays is None else checkpoints.unpacked(arrays)

    def _epoch(self) -> None:
        progress, size = self.progress, self.progress.batch_size
        self.meter.start()
        for losses, seconds in self._chunks():
            self._check_losses(losses)
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
        self._end_epoch(record)
        self._save()
        self.say(self.journal.write(progress.history, progress.best_epoch, progress.finished, self.settings.epochs))

    def _evaluated(self) -> dict[str, float]:
        """Returns the chief's results on every worker, so that all stop after the same epoch."""
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
                    "out of memory with %d rows of evaluation data at once: continuing with %d", size, self.rows_at_once
                )
        values = self.distribution.from_chief([np.array(list(results.values()))])
        assert values is not None
        return dict(zip(results, values[0].tolist(), strict=True))

    def _chunks(self) -> Iterator[tuple[npt.NDArray[np.float32], float]]:
        """Trains to the end of the epoch, several steps at a time; yields their losses and the seconds they took."""
        progress, settings = self.progress, self.settings
        first, last = progress.row // progress.batch_size, self.train.steps(progress.batch_size)
        batches = self.distribution.batches(self.train, progress.batch_size, progress.epoch, settings.seed, first)
        self.steps.start(batches)
        while first < last:
            count = min(self.steps.chunk(self.seconds_per_step, settings.checkpoint_seconds), last - first)
            started = time.monotonic()
            losses = self.steps.run(count)
            seconds = time.monotonic() - started
            # The time of the first steps is mostly compilation.
            self.seconds_per_step = None if self.seconds_per_step is None and not first else seconds / count
            first += count
            yield losses, seconds

    def _end_epoch(self, record: EpochRecord) -> None:
        """Adds an epoch to the history, keeps its weights if it is the best, and decides whether it is the last."""
        progress, settings = self.progress, self.settings
        if settings.monitor not in record:
            measured = ", ".join(name for name, value in record.items() if isinstance(value, float))
            raise ModelError(f"monitor: the model does not measure {settings.monitor!r}: expected one of {measured}")
        value = float(record[settings.monitor])
        if not np.isfinite(value):
            raise self._not_finite(f"{settings.monitor} is {value}")
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

    def _check_losses(self, losses: npt.NDArray[np.float32]) -> None:
        """Raises a DataError that describes the first batch whose loss is not finite."""
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

    def _not_finite(self, problem: str) -> DataError:
        """Returns the error for a monitored metric that is not finite.

        Its cause are values of the evaluation data that are not finite, else the last step of training.
        """
        batches = self.evaluate.once(self.rows_at_once).as_numpy_iterator()
        last = self.train.steps(self.progress.batch_size) - 1
        return diverged.evaluation_error(problem, batches) or self._diverged(
            f"{problem} after", self.progress.epoch - 1, last, self.progress.steps - 1
        )

    def _diverged(self, problem: str, epoch: int, index: int, step: int) -> DataError:
        """Returns the error for a step; all three numbers count from 0, `index` within the epoch."""
        batch = self.train.batch(self.progress.batch_size, epoch, self.settings.seed, index)
        return diverged.training_error(problem, batch, self.model.optimizer, epoch=epoch, index=index, step=step)

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
        """Halves the batch size after the memory ran out, and continues at the row of the last checkpoint."""
        assert self.saved is not None
        size = self.progress.batch_size
        if self.distribution.cluster is not None:  # the other workers wait in the middle of this step
            raise ModelError(f"a worker is out of memory with a batch of {size}: choose a smaller batch_size") from None
        if size <= self.distribution.replicas:
            raise ModelError("the model does not fit into the device's memory with a batch of one row") from None
        self._restore(self.saved)
        self.progress.batch_size = smaller = self.distribution.evenly(size // 2)
        self.progress.row -= self.progress.row % smaller
        logger.warning(
            "out of memory with a batch of %d: continuing with %d from epoch %d, row %d",
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
        logger.warning(
            "batch_size %d becomes %d, so that %d replicas share it evenly", size, shared, distribution.replicas
        )
    return shared


def _fingerprints(model: keras.Model, train: Data, evaluate: Data, settings: Settings) -> dict[str, str]:
    """Returns digests of the model, the data and the settings: a checkpoint is used only where all are equal."""
    variables = [
        (variable.path, tuple(variable.shape), variable.dtype)
        for variable in [*model.variables, *model.optimizer.variables]
    ]
    description = _NUMBERED.sub("", repr((variables, model.get_config(), model.get_compile_config())))
    decisive = {key: value for key, value in asdict(settings).items() if key != "checkpoint_seconds"}
    return {
        "model": hashlib.sha256(description.encode()).hexdigest(),
        "data set": f"{train.fingerprint} {evaluate.fingerprint}",
        "settings": repr(decisive),
    }


def _out_of_memory(error: BaseException) -> bool:
    """Whether an exception, of any backend, means that the memory of a device or of the machine is used up."""
    if isinstance(error, tf.errors.ResourceExhaustedError | MemoryError):
        return True
    names = {type(error).__name__, *(base.__name__ for base in type(error).__mro__)}
    return "OutOfMemoryError" in names or ("XlaRuntimeError" in names and "RESOURCE_EXHAUSTED" in str(error))

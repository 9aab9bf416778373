"""What a training writes after each epoch: a line in the log, TensorBoard's event files and history.json."""

import contextlib
import json
import logging
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import tensorflow as tf

from penstock.core import metrics
from penstock.core.artifacts import ModelRun
from penstock.core.files import atomic
from penstock.core.page import numbers
from penstock.trainer.hardware import devices
from penstock.trainer.loop.checkpoints import EpochRecord

_VALIDATION = "val_"
_PREFIX = "epoch_"  # of the names of scalars; it and the folders are those of Keras's TensorBoard callback
_OF_THE_MACHINE = ("examples_per_second", "batch_size", "seconds")
logger = logging.getLogger(__name__)


class Journal:
    """Writes the records of epochs to `model_run_dir`. `setup` are more entries of history.json, such as the device."""

    def __init__(self, model_run_dir: Path, setup: Mapping[str, str | int]):
        self._folder, self._setup = model_run_dir, dict(setup)
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def write(self, records: list[EpochRecord], best_epoch: int, finished: str, epochs: int) -> str:
        """Writes all records to history.json, and the last one to the event files and the log.

        finished: why training has ended; "" if it has not. epochs: the most that there will be.

        Returns the line in the log.
        """
        record = records[-1]
        text = line(record, epochs, best=record["epoch"] == best_epoch)
        logger.info("%s", text)
        for name, value in record.items():
            if name in ("epoch", "utilisation"):
                continue
            folder = "validation" if name.startswith(_VALIDATION) else "train"
            self._scalar(folder, _PREFIX + name.removeprefix(_VALIDATION), value, record["epoch"])
        for device, share in record["utilisation"].items():
            self._scalar("train", f"{_PREFIX}utilisation_{device}", share, record["epoch"])
        for writer in self._writers.values():
            writer.flush()
        content = {**self._setup, "best_epoch": best_epoch, "finished": finished, "epochs": records}
        atomic.write_text(ModelRun(self._folder).history, json.dumps(content, indent=1) + "\n")
        return text

    def close(self) -> None:
        """Closes the event files."""
        for writer in self._writers.values():
            writer.close()

    def _scalar(self, folder: str, name: str, value: float, epoch: int) -> None:
        if folder not in self._writers:
            self._writers[folder] = tf.summary.create_file_writer(str(self._folder / folder))
        with self._writers[folder].as_default():
            tf.summary.scalar(name, value, step=epoch - 1)  # Keras counts from 0


def line(record: EpochRecord, epochs: int, best: bool) -> str:
    """Returns an epoch as one line; `epochs` is the most that there will be, `best` whether it is the best so far."""
    hidden = (*_OF_THE_MACHINE, "epoch", "utilisation")
    measured = (metrics.in_the_labels_unit(name, value) for name, value in record.items() if name not in hidden)
    results = ", ".join(f"{name} {numbers.number(value, 4)}" for name, value in measured)
    shares = "".join(f", {device} {share:.0%}" for device, share in record["utilisation"].items())
    return (
        f"epoch {record['epoch']} of at most {epochs}: {results}{' (best)' if best else ''}; "
        f"{record['examples_per_second']:,} examples/s{shares}, {record['seconds']:.1f} s"
    )


class Meter:
    """Measures the utilisation of processors and GPUs.

    on_gpu: whether to ask nvidia-smi, where there is such a program.
    """

    def __init__(self, on_gpu: bool):
        self._samples: list[float] = []
        self._lock = threading.Lock()
        self.start()
        self._tool = self._watch() if on_gpu and shutil.which("nvidia-smi") else None

    def start(self) -> None:
        """Starts a new measurement."""
        self._wall, self._cpu = time.monotonic(), time.process_time()
        with self._lock:
            self._samples.clear()

    def shares(self) -> dict[str, float]:
        """Returns {device: share from 0 to 1} since `start`.

        `cpu` is the share that this process used of the processors it may use. `gpu`, where there is one, is the mean
        of the utilisations that nvidia-smi reports every second.
        """
        wall = max(time.monotonic() - self._wall, 1e-9)
        shares = {"cpu": round(min(1.0, (time.process_time() - self._cpu) / wall / devices.processors()), 3)}
        with self._lock:
            if self._samples:
                shares["gpu"] = round(sum(self._samples) / len(self._samples) / 100, 3)
        return shares

    def close(self) -> None:
        """Ends nvidia-smi."""
        if self._tool is not None:
            self._tool.terminate()
            self._tool.wait()

    def _watch(self) -> "subprocess.Popen[str]":
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop=1"]
        tool = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, args=(tool.stdout,), daemon=True).start()
        return tool

    def _read(self, lines: Iterable[str]) -> None:
        for text in lines:
            with contextlib.suppress(ValueError), self._lock:  # some devices report "[N/A]"
                self._samples.append(float(text))

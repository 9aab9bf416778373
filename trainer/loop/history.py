"""What is written of a training while it goes on: a line for each epoch, TensorBoard's event files, history.json."""

import contextlib
import json
import logging
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from penstock.core.artifacts import ModelRun
from penstock.core.files import atomic
from penstock.trainer.hardware import devices

_VALIDATION = "val_"
_WRITTEN_TO = {"train": "epoch_", "validation": "epoch_"}  # folders and prefixes of Keras's TensorBoard callback
_OF_THE_MACHINE = ("examples_per_second", "batch_size", "seconds")
logger = logging.getLogger(__name__)


class Journal:
    """Writes the records of epochs to `model_run_dir`."""

    def __init__(self, model_run_dir: Path, how: Mapping[str, Any]):
        """`how` the model is trained (device, precision, …) stands in history.json."""
        self._folder, self._how = model_run_dir, dict(how)
        self._writers: dict[str, Any] = {}

    def write(self, records: list[dict[str, Any]], best_epoch: int, finished: str, epochs: int) -> str:
        """Writes history.json anew and the last record to the event files and the log; returns the log's line."""
        record = records[-1]
        told = line(record, epochs, best=record["epoch"] == best_epoch)
        logger.info("%s", told)
        for name, value in record.items():
            if name in ("epoch", "utilisation"):
                continue
            folder = "validation" if name.startswith(_VALIDATION) else "train"
            self._scalar(folder, _WRITTEN_TO[folder] + name.removeprefix(_VALIDATION), value, record["epoch"])
        for device, share in record["utilisation"].items():
            self._scalar("train", f"epoch_utilisation_{device}", share, record["epoch"])
        for writer in self._writers.values():
            writer.flush()
        content = {**self._how, "best_epoch": best_epoch, "finished": finished, "epochs": records}
        atomic.write_text(ModelRun(self._folder).history, json.dumps(content, indent=1) + "\n")
        return told

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _scalar(self, folder: str, name: str, value: float, epoch: int) -> None:
        if folder not in self._writers:
            self._writers[folder] = tf.summary.create_file_writer(str(self._folder / folder))
        with self._writers[folder].as_default():
            tf.summary.scalar(name, value, step=epoch - 1)  # as Keras counts


def line(record: dict[str, Any], epochs: int, best: bool) -> str:
    """Returns an epoch as one line."""
    hidden = (*_OF_THE_MACHINE, "epoch", "utilisation")
    results = ", ".join(f"{name} {value:.4f}" for name, value in record.items() if name not in hidden)
    shares = "".join(f", {device} {share:.0%}" for device, share in record["utilisation"].items())
    return (
        f"epoch {record['epoch']} of at most {epochs}: {results}{' (best)' if best else ''}; "
        f"{record['examples_per_second']:,} examples/s{shares}, {record['seconds']:.1f} s"
    )


class Meter:
    """Measures which share of the processors this process uses, and which share of the time its GPUs are at work."""

    def __init__(self, on_gpu: bool):
        self._samples: list[float] = []
        self._lock = threading.Lock()
        self.start()
        self._tool = self._watch() if on_gpu and shutil.which("nvidia-smi") else None

    def start(self) -> None:
        """Begins to measure anew."""
        self._wall, self._cpu = time.monotonic(), time.process_time()
        with self._lock:
            self._samples.clear()

    def shares(self) -> dict[str, float]:
        """Returns {device: share between 0 and 1} since `start`.

        `cpu` is this process's share of the processors it may use; `gpu`, where there is one, is the mean of what
        nvidia-smi says every second.
        """
        wall = max(time.monotonic() - self._wall, 1e-9)
        shares = {"cpu": round(min(1.0, (time.process_time() - self._cpu) / wall / devices.processors()), 3)}
        with self._lock:
            if self._samples:
                shares["gpu"] = round(sum(self._samples) / len(self._samples) / 100, 3)
        return shares

    def close(self) -> None:
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
            with contextlib.suppress(ValueError), self._lock:  # "[N/A]" on some devices
                self._samples.append(float(text))

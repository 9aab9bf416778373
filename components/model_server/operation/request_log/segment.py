"""A file of the request log while it is written: under a hidden name, beside the one that it gets in the end."""

import contextlib
import os
import re
import socket
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from penstock.core.artifacts import RequestLog
from penstock.core.files import temporary
from penstock.core.models.prediction_logs import LoggedPrediction


class Segment(ABC):
    """A file with the predictions of one signature. What a method raises, the whole file is lost for."""

    SUFFIX: ClassVar[str]

    def __init__(self, log: RequestLog, folder: Path, first: LoggedPrediction, number: int):
        self._log, self._folder, self._number = log, folder, number
        self.begin = self.end = first.time
        self.opened = time.monotonic()
        self.count = 0
        self._temporary = temporary.beside(self._path())
        self._temporary.parent.mkdir(parents=True, exist_ok=True)

    def _path(self) -> Path:
        begin, end = (datetime.fromtimestamp(seconds, UTC) for seconds in (self.begin, self.end))
        return self._log.path(self._folder, begin, end, process(), self._number, self.SUFFIX)

    @property
    @abstractmethod
    def bytes(self) -> int:
        """How large the file is by now, about."""

    def fits(self, prediction: LoggedPrediction) -> bool:
        """Whether this file can hold the prediction."""
        return True

    def append(self, prediction: LoggedPrediction) -> None:
        """Adds a prediction. They are in the order of the answers, so its time may be before the first one's."""
        self._write(prediction)
        self.count += 1
        self.begin, self.end = min(self.begin, prediction.time), max(self.end, prediction.time)

    def close(self) -> None:
        """Makes the file appear, under the name that it keeps."""
        self._finish()
        path = self._path()
        path.parent.mkdir(parents=True, exist_ok=True)  # the first prediction may have turned out to be of another day
        os.replace(self._temporary, path)

    def abandon(self) -> None:
        """Removes what has been written, which also frees its room on the disk."""
        with contextlib.suppress(Exception):
            self._finish()
        with contextlib.suppress(OSError):
            self._temporary.unlink()

    @abstractmethod
    def _write(self, prediction: LoggedPrediction) -> None: ...

    @abstractmethod
    def _finish(self) -> None: ...


def process() -> str:
    """Returns this process' name in those of files: the host's, which is the pod's in Kubernetes, and a number."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())
    return f"{host}-{os.getpid()}"

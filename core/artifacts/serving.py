"""What a model server leaves on disk: a record of what it was asked and what it answered."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote, unquote

from penstock.core.artifacts.artifact import Artifact

_TIME = "%Y%m%dT%H%M%S.%fZ"
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_NAME = re.compile(r"(?P<begin>\d{8}T\d{6}\.\d{6}Z)_(?P<end>\d{8}T\d{6}\.\d{6}Z)_(?P<process>.+)_(?P<number>\d{6})\..+")


@dataclass(frozen=True)
class LoggedFile:
    """A file of a RequestLog: the times of its first and its last prediction, and the process that wrote it."""

    path: Path
    begin: datetime
    end: datetime
    process: str

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Reads the name of a file; None for another file's, or an unfinished one's."""
        match = None if path.name.startswith(".") else _NAME.fullmatch(path.name)
        if match is None:
            return None
        begin, end = (datetime.strptime(match[name], _TIME).replace(tzinfo=UTC) for name in ("begin", "end"))
        return cls(path, begin, end, match["process"])


@dataclass(frozen=True)
class RequestLog(Artifact):
    """Predictions of a model server, in files that appear whole.

    <model>/<version>/<signature>/2026-11-29/20261129T232408.123456Z_20261129T232907.654321Z_<process>_000001.parquet

    Names sort by time, which is UTC; they have the time of the file's first prediction and of its last. The day is the
    first prediction's. The process is the host's name (in Kubernetes the pod's) and a number. Characters that a name of
    a model or a signature has, and a file's may not, are percent-encoded.

    .tfrecord.gz   PredictionLog of TensorFlow Serving (core/models/prediction_logs.py)
    .parquet       a row for each row of the inputs: time, request_id, row, …, inputs.<name>, outputs.<name>
    """

    TFRECORD: ClassVar[str] = ".tfrecord.gz"
    PARQUET: ClassVar[str] = ".parquet"

    def folder(self, model: str, version: int, signature: str) -> Path:
        """Returns the folder of a signature's predictions, whether it exists or not."""
        return self.root / _part(model) / str(version) / _part(signature)

    def path(
        self, folder: Path, begin: datetime, end: datetime, process: str, number: int, suffix: str = TFRECORD
    ) -> Path:
        """Returns the path of a file in a signature's folder; both times are UTC."""
        times = f"{begin.strftime(_TIME)}_{end.strftime(_TIME)}"
        return folder / f"{begin:%Y-%m-%d}" / f"{times}_{process}_{number:06d}{suffix}"

    def signatures(self) -> Iterator[tuple[str, int, str]]:
        """Yields the models, versions and signatures of which there are predictions, sorted."""
        for folder in sorted(path for path in self.root.glob("*/*/*") if path.is_dir()):
            version = folder.parent.name
            if version.isdecimal():
                yield unquote(folder.parent.parent.name), int(version), unquote(folder.name)

    def files(
        self,
        model: str,
        version: int,
        signature: str,
        begin: datetime = _EARLIEST,
        end: datetime = _LATEST,
    ) -> list[LoggedFile]:
        """Returns the files that have predictions of `begin` or later, and before `end`, sorted by time.

        They may also have others: up to what the server lets a file span.
        """
        files = map(
            LoggedFile.of, sorted(self.folder(model, version, signature).glob("*/*"), key=lambda path: path.name)
        )
        return [file for file in files if file and file.end >= begin and file.begin < end]


def _part(name: str) -> str:
    """Returns a name as that of a folder: one part of a path, and not hidden."""
    quoted = quote(name, safe=" :@=+,")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted

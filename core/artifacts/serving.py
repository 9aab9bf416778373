"""What a model server finds beside the versions of a model, and its record of what it was asked and what it answered.

Traffic         which versions serve what share of the requests
RequestLog      of our server, and of the collector of KServe's events
CapturedData    of a SageMaker endpoint
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote, unquote

from penstock.core.arguments import check_whole_number, parse_object
from penstock.core.artifacts.artifact import Artifact
from penstock.core.errors import ConfigError

_MOST_BYTES = 255  # of a folder's name
_TIME = "%Y%m%dT%H%M%S.%fZ"
_YEAR, _HOUR = re.compile(r"[0-9]{4}"), re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9]{2}")
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_NAME = re.compile(r"(?P<begin>\d{8}T\d{6}\.\d{6}Z)_(?P<end>\d{8}T\d{6}\.\d{6}Z)_(?P<process>.+)_(?P<number>\d{6})\..+")


@dataclass(frozen=True)
class Traffic:
    """Which versions in a folder serve what share of the requests: `<base>/traffic.json`, beside the versions.

    Without this file the highest version serves them all.

    Args:
        stable: The version that serves what the canary does not.
        canary: The version that is on trial; None if there is none.
        percent: The canary's share of the requests.
        previous: The version that served before, which a rollback brings back; None if there is none.
    """

    FILE: ClassVar[str] = "traffic.json"

    stable: int
    canary: int | None = None
    percent: int = 0
    previous: int | None = None

    @property
    def labels(self) -> dict[str, int]:
        """The versions by the labels under which they are asked."""
        return {"stable": self.stable} | ({} if self.canary is None else {"canary": self.canary})

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Reads the file's content; raises a ConfigError if it is another."""
        keys = ("stable", "canary", "percent", "previous")
        values = parse_object(cls.FILE, content.decode(errors="replace"), keys, '{"stable": 17}')
        stable = check_whole_number(f"{cls.FILE}: stable", values.pop("stable", None), least=1)
        others = {
            key: check_whole_number(f"{cls.FILE}: {key}", value) for key, value in values.items() if value is not None
        }
        if others.get("percent", 0) > 100:
            raise ConfigError(f"{cls.FILE}: percent: expected 100 at most, received {others['percent']}")
        return cls(stable, **others)

    def content(self) -> bytes:
        """Returns the file's content."""
        return json.dumps(vars(self)).encode()


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

    .tfrecord.gz      PredictionLog of TensorFlow Serving (core/models/prediction_logs.py)
    .parquet          a row for each row of the inputs: time, request_id, row, …, inputs.<name>, outputs.<name>
    .bodies.parquet   a row for each request: time, request_id, …, and the bodies of request and response as they came

    The version is 0 where nobody has said which one answered.
    """

    PARTS: ClassVar[int] = 5  # of a file's path
    TFRECORD: ClassVar[str] = ".tfrecord.gz"
    PARQUET: ClassVar[str] = ".parquet"
    BODIES: ClassVar[str] = ".bodies.parquet"

    @staticmethod
    def can_hold(model: str) -> bool:
        """Whether a folder can have a model's name: not one that is too long for file systems."""
        return len(_part(model)) <= _MOST_BYTES

    def folder(self, model: str, version: int, signature: str) -> Path:
        """Returns the folder of a signature's predictions, whether it exists or not."""
        return self.root / _part(model) / str(version) / _part(signature)

    def path(
        self, folder: Path, begin: datetime, end: datetime, process: str, number: int, suffix: str = TFRECORD
    ) -> Path:
        """Returns the path of a file in a signature's folder; both times are UTC."""
        times = f"{begin.strftime(_TIME)}_{end.strftime(_TIME)}"
        return folder / f"{begin:%Y-%m-%d}" / f"{times}_{process}_{number:06d}{suffix}"

    def file(self, path: Path) -> LoggedFile | None:
        """Returns a file with the times that its name has; None for another file's path."""
        return LoggedFile.of(path)

    def signatures(self) -> Iterator[tuple[str, int, str]]:
        """Yields the models, versions and signatures of which there are predictions, sorted."""
        for folder in sorted(path for path in self.root.glob("*/*/*") if path.is_dir()):
            version = folder.parent.name
            if version.isdecimal():
                yield unquote(folder.parent.parent.name), int(version), unquote(folder.name)

    def models(self) -> list[tuple[str, int]]:
        """Returns the models of which there are predictions, with their versions, sorted."""
        return sorted({(model, version) for model, version, _ in self.signatures()})

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


@dataclass(frozen=True)
class CapturedData(Artifact):
    """What a SageMaker endpoint's data capture writes.

    <endpoint>/<variant>/2026/11/29/23/24-08-123-<id>.jsonl

    The folders are the hours of the requests, in UTC. A line is a request with its response; it says neither the model
    nor its version.
    """

    PARTS: ClassVar[int] = 7  # of a file's path
    SUFFIX: ClassVar[str] = ".jsonl"

    def folder(self, endpoint: str, variant: str) -> Path:
        """Returns the folder of a variant's requests, whether it exists or not."""
        return self.root / endpoint / variant

    def variants(self) -> Iterator[tuple[str, str]]:
        """Yields the endpoints and variants of which there are requests, sorted."""
        folders = {path.parent for path in self.root.glob("*/*/*") if _YEAR.fullmatch(path.name) and path.is_dir()}
        for folder in sorted(folders):
            yield folder.parent.name, folder.name

    def models(self) -> list[tuple[str, int]]:
        """Returns the endpoints; which version has answered is not known, which is 0."""
        return sorted({(endpoint, 0) for endpoint, _ in self.variants()})

    def file(self, path: Path) -> LoggedFile | None:
        """Returns a file with the hour that its folders name; None for another file's path."""
        hour = "/".join(path.parts[-5:-1])
        if path.name.startswith(".") or not path.name.endswith(self.SUFFIX) or not _HOUR.fullmatch(hour):
            return None
        try:
            begin = datetime.strptime(hour, "%Y/%m/%d/%H").replace(tzinfo=UTC)
        except ValueError:  # no such day
            return None
        return LoggedFile(path, begin, begin + timedelta(hours=1, microseconds=-1), path.parts[-6])

    def files(
        self, endpoint: str, variant: str, begin: datetime = _EARLIEST, end: datetime = _LATEST
    ) -> list[LoggedFile]:
        """Returns the files of hours that may have requests of `begin` or later, and before `end`, sorted by time."""
        files = map(self.file, sorted(self.folder(endpoint, variant).glob("*/*/*/*/*")))
        return [file for file in files if file and file.end >= begin and file.begin < end]


def open_log(root: Path) -> RequestLog | CapturedData:
    """Returns what there is in a folder: what SageMaker has captured, else a request log, also of nothing yet."""
    log, captured = RequestLog(root), CapturedData(root)
    return captured if not log.models() and captured.models() else log


def _part(name: str) -> str:
    """Returns a name as that of a folder: one part of a path, and not hidden."""
    quoted = quote(name, safe=" :@=+,")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted

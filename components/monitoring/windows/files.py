"""Which files of a request log a window needs, and the pieces that they are read in."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.window import Window
from penstock.core.artifacts import CapturedData, LoggedFile, RequestLog
from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean, listed

SIGNATURE = "serving_default"
_PIECE_ROWS = 1 << 17  # of Parquet
# A file's name says its times. One that was renamed, or whose clock was set back, may hold others: so far is looked.
MARGIN = timedelta(hours=1)
_CLOCK = timedelta(minutes=2)  # that a server's clock may be ahead of the storage's without a word

NOT_WHOLE = "a file that is damaged or cut off; what comes before the damage is measured"
NO_LOG = "a file that is none of a request log"
UNFINISHED = "a file that the server is still writing: it ends it every few minutes (rotate_seconds), or when it ends"
AHEAD = "a file of a server whose clock is ahead of the storage's: its rows count by their own times"


@dataclass(frozen=True)
class Piece:
    """A part of a file that is read at once: of Parquet the row groups from `start` on and before `stop`, else all."""

    path: Path
    name: str  # for people: below the log's folder
    version: int
    begin: datetime  # of the file, as its name has it
    end: datetime
    start: int = 0
    stop: int = 0
    variant: str = ""  # of SageMaker's endpoint


@dataclass(frozen=True)
class Selection:
    """Which requests are meant. Without a version all of the model's.

    Args:
        model: The model's name on its server; "" where the log has only one. Of SageMaker it is the endpoint's name,
            or ENDPOINT/VARIANT.
        version: The version that has answered.
        variant: Of SageMaker the variant that has answered, "" for all of the endpoint's.
    """

    model: str = ""
    version: int | None = None
    variant: str = ""

    def includes(self, model: str, version: int) -> bool:
        """Whether requests of a model's version are meant. The selection has to be resolved."""
        return model == self.model and self.version in (None, version)

    def includes_variant(self, endpoint: str, variant: str) -> bool:
        """Whether requests that a variant of an endpoint has answered are meant."""
        return endpoint == self.model and self.variant in ("", variant)

    def resolved(self, log: RequestLog | CapturedData, name: str = "") -> "Selection":
        """Returns the selection with the model's name; `name` is what people call the log, by default its folder.

        Raises a ConfigError if there is no such folder, model or version in the log, or several models and no name.
        """
        name = name or str(log.root)
        if not log.root.is_dir():
            raise ConfigError(f"requests: there is no folder {name}: expected what --request-log has written")
        models = sorted({model for model, _ in log.models()})
        if not models:
            return self
        if not self.model:
            if len(models) > 1:
                raise ConfigError(f"model: expected one of those in {name}: {listed(models)}")
            return replace(self, model=models[0]).resolved(log, name)
        if isinstance(log, CapturedData):
            return self._of_variant(log, name)
        if self.model not in models:
            raise ConfigError(f"model {self.model!r} is not in {name}; {did_you_mean(self.model, models)}")
        versions = sorted({version for model, version in log.models() if model == self.model})
        if self.version is not None and self.version not in versions:
            there = ", ".join(map(str, versions))
            raise ConfigError(f"version {self.version} of {self.model} is not in {name}: expected one of {there}")
        return self

    def _of_variant(self, data: CapturedData, name: str) -> "Selection":
        endpoint, _, variant = self.model.partition("/")
        there = [*data.variants()]
        names = sorted({one for one, _ in there}) + [f"{one}/{of_one}" for one, of_one in there]
        if self.model not in names:
            raise ConfigError(f"model {self.model!r} is not in {name}; {did_you_mean(self.model, names)}")
        if self.version is not None:
            raise ConfigError(
                f"version {self.version}: SageMaker does not write which version has answered: leave it out, or name "
                f"a variant as the model, such as {endpoint}/{next(of_one for one, of_one in there if one == endpoint)}"
            )
        return replace(self, model=endpoint, variant=variant)


def pieces(log: RequestLog, selection: Selection, window: Window, account: Account) -> list[Piece]:
    """Returns the pieces of the files that may have rows of the window, sorted by version and time.

    Files that cannot be read are counted as left out.
    """
    result: list[Piece] = []
    for model, version, signature in log.signatures():
        if not selection.includes(model, version):
            continue
        files = log.files(model, version, signature, window.begin - MARGIN, window.end + MARGIN)
        if signature != SIGNATURE:
            reason = f"a file of another signature than {SIGNATURE}"
            account.left_out.add("files", reason, signature, len(files))
            continue
        for path in sorted(log.folder(model, version, signature).glob("*/*")):
            _note_unfinished(path, log, window, account)
        for file in files:
            result += _cut(file, _name(file.path, log), version, account)
            written = _written(file.path)
            if written and file.end - written > _CLOCK:
                account.odd.add("files", AHEAD, f"{file.process}: {_name(file.path, log)}")
    return result


def _note_unfinished(path: Path, log: RequestLog, window: Window, account: Account) -> None:
    """Counts what is no file of the log, and files that are still being written: their rows are in no window yet."""
    written = None if LoggedFile.of(path) else _written(path)
    if written is None:
        return
    if not path.name.startswith("."):
        account.left_out.add("files", NO_LOG, _name(path, log))
    elif written >= window.begin:
        account.left_out.add("files", UNFINISHED, _name(path, log))


def _cut(file: LoggedFile, name: str, version: int, account: Account) -> Iterator[Piece]:
    if file.path.name.endswith(RequestLog.TFRECORD):
        yield Piece(file.path, name, version, file.begin, file.end)
    elif file.path.name.endswith(RequestLog.PARQUET):
        try:
            metadata = pq.read_metadata(file.path)
        except (pa.ArrowInvalid, OSError) as error:
            account.left_out.add("files", NOT_WHOLE, f"{name}: {error}")
            return
        start = rows = 0
        for group in range(metadata.num_row_groups):
            rows += metadata.row_group(group).num_rows
            if rows >= _PIECE_ROWS or group + 1 == metadata.num_row_groups:
                yield Piece(file.path, name, version, file.begin, file.end, start, group + 1)
                start, rows = group + 1, 0
    else:
        account.left_out.add("files", NO_LOG, name)


def _written(path: Path) -> datetime | None:
    """Returns when a file was written; None of a folder, and of one that the server has renamed meanwhile."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return datetime.fromtimestamp(status.st_mtime, UTC) if stat.S_ISREG(status.st_mode) else None


def _name(path: Path, log: RequestLog) -> str:
    return path.relative_to(log.root).as_posix()

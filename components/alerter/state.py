"""What the Alerter remembers from run to run, in one folder, and that only one run works with it at a time.

One file holds all of it: what was decided, and which messages wait for which channel (the outbox). It is written whole
or not at all, and on the disk before anything is sent: so a run that dies at any moment has either decided on a window
and owes its messages, or has not decided on it.
"""

import contextlib
import functools
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from pydantic import TypeAdapter, ValidationError

from penstock.components.alerter.decisions import ModelTracks
from penstock.core.artifacts.alerts import AlertEvent, AlertState, Severity
from penstock.core.errors import DataError, UserError, explain_os_error
from penstock.core.files import atomic

logger = logging.getLogger(__name__)


class Message(TypedDict):
    """What channels are told. `id` is its deduplication key: that of its first event, or the summary's own.

    It is of an event, or of several that are alike: measures of a feature, in a window. A summary has the events of
    several messages, where a channel may get only so many. `made` is when (ISO 8601), and `waits` the names of the
    channels that have not taken it.
    """

    id: str
    severity: Severity
    events: list[AlertEvent]
    is_summary: bool
    made: str
    waits: list[str]


class DecidedWindow(TypedDict):
    """The window of a model that was decided on last, and its events: a task that is run again says the same."""

    begin: str
    end: str
    events: list[AlertEvent]


class State(TypedDict):
    """What is remembered: by model, its tracks and last window; by channel, when its people were told (ISO 8601)."""

    version: Literal[1]
    tracks: dict[str, ModelTracks]
    decided: dict[str, DecidedWindow]
    outbox: list[Message]
    told: dict[str, list[str]]


class Folder(ABC):
    """Where the state is kept."""

    @abstractmethod
    def held(self) -> AbstractContextManager[None]:
        """Waits until no other run works with the state, and keeps others waiting."""

    @abstractmethod
    def read(self) -> State:
        """Returns the state; an empty one where there is none yet."""

    @abstractmethod
    def write(self, state: State) -> None:
        """Writes the state; it is safe once this returns."""


@dataclass(frozen=True)
class LocalFolder(Folder):
    """The state in a folder of this machine, or of a volume that is mounted."""

    files: AlertState

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        import fcntl  # Windows, where the commands run too, has none

        try:
            self.files.root.mkdir(parents=True, exist_ok=True)
            lock = open(self.files.lock, "a")  # noqa: SIM115 - closed below, with the lock
        except OSError as error:
            raise explain_os_error(error) or UserError(f"cannot keep alerts in {self.files.root}: {error}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("waiting for another run that tells of alerts in %s", self.files.root)
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:
                logger.warning("going on without a lock on %s: %s", self.files.root, error)
            yield

    def read(self) -> State:
        path = self.files.path
        return parse(path.read_bytes(), str(path)) if path.is_file() else empty()

    def write(self, state: State) -> None:
        with atomic.replacing(self.files.path) as temporary, temporary.open("wb") as file:
            file.write(serialized(state))
            file.flush()
            os.fsync(file.fileno())
        _sync(self.files.root)


def empty() -> State:
    return State(version=1, tracks={}, decided={}, outbox=[], told={})


def serialized(state: State) -> bytes:
    return json.dumps(state, separators=(",", ":"), allow_nan=False).encode()


def parse(content: bytes, place: str) -> State:
    """Returns the state that a file holds; a DataError for what is none."""
    return parsed(_adapter(), content, place)


def parsed[Content](adapter: TypeAdapter[Content], content: bytes, place: str) -> Content:
    """Returns what the adapter makes of a file with a state; a DataError if it is none."""
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{place} is no state of alerts ({where + ': ' if where else ''}{first['msg']}): restore it from a copy; "
            "where you remove it, alerts that are open are told anew"
        ) from None


@functools.cache
def _adapter() -> TypeAdapter[State]:
    return TypeAdapter(State)


def _sync(folder: Path) -> None:
    """Has a folder's new names written to the disk, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""A state in one folder, and that only one run works with it at a time.

One file holds all of it. It is written whole or not at all, and is on the disk before its reader acts on the world: so
a run that dies at any moment has either decided and owes what it decided on, or has not decided.
"""

import contextlib
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from penstock.core.artifacts.state import StateFiles
from penstock.core.errors import DataError, UserError, explain_os_error
from penstock.core.files import atomic

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind[State]:
    """What a state is.

    Args:
        form: Its type, as pydantic reads it: called when a state is read.
        empty: Returns the state of a folder without one.
        files: What its files are called.
        of: What it is a state of, such as "alerts".
        lost: What happens if somebody removes it, as in "alerts that are open are told anew".
    """

    form: Callable[[], TypeAdapter[State]]
    empty: Callable[[], State]
    files: type[StateFiles]
    of: str
    lost: str

    def serialized(self, state: State) -> bytes:
        return json.dumps(state, separators=(",", ":"), allow_nan=False).encode()

    def parse(self, content: bytes, place: str) -> State:
        """Returns the state that a file holds; a DataError for what is none."""
        return self.parsed(self.form(), content, place)

    def parsed[Content](self, form: TypeAdapter[Content], content: bytes, place: str) -> Content:
        """Returns what a form makes of a file with a state; a DataError if it is none."""
        try:
            return form.validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise DataError(
                f"{place} is no state of {self.of} ({where + ': ' if where else ''}{first['msg']}): restore it from a "
                f"copy; where you remove it, {self.lost}"
            ) from None


class Folder[State](ABC):
    """Where a state is kept."""

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
class LocalFolder[State](Folder[State]):
    """The state in a folder of this machine, or of a volume that is mounted."""

    root: Path
    kind: Kind[State]

    @property
    def files(self) -> StateFiles:
        return self.kind.files(self.root)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        import fcntl  # Windows, where the commands run too, has none

        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = open(self.files.lock, "a")  # noqa: SIM115 - closed below, with the lock
        except OSError as error:
            reason = UserError(f"cannot keep {self.kind.of} in {self.root}: {error}")
            raise explain_os_error(error) or reason from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("waiting for another run that works with the %s in %s", self.kind.of, self.root)
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:
                logger.warning("going on without a lock on %s: %s", self.root, error)
            yield

    def read(self) -> State:
        path = self.files.path
        return self.kind.parse(path.read_bytes(), str(path)) if path.is_file() else self.kind.empty()

    def write(self, state: State) -> None:
        with atomic.replacing(self.files.path) as temporary, temporary.open("wb") as file:
            file.write(self.kind.serialized(state))
            file.flush()
            os.fsync(file.fileno())
        atomic.sync_folder(self.root)

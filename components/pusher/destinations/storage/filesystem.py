"""Versions of a model in a folder, as TensorFlow Serving reads them: `<base>/<number>/saved_model.pb …`.

A model server watches the base folder. Every subfolder whose name is a number is a version, and it loads the highest.
So a version is copied to a folder with another name, which is renamed once it is complete. A lock lets only one process
push at a time.
"""

import contextlib
import errno
import itertools
import logging
import os
import shlex
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.components.pusher.destinations.storage.storage import Storage
from penstock.components.pusher.destinations.storage.version import Version
from penstock.core.artifacts import SavedModel
from penstock.core.errors import ConfigError, UserError, explain_os_error
from penstock.core.files import atomic

_TEMPORARY = ".pushing-"
_LOCK = ".push.lock"
_CHANGE_LOCK = ".traffic.lock"
_HIGHEST = 2**63 - 1  # TensorFlow Serving's versions are int64
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalFolder(Storage):
    """A folder of this machine, or of a volume or bucket that is mounted."""

    folder: Path

    @property
    def base(self) -> str:
        return str(self.folder)

    def push(self, serving: Path) -> Version:
        return push(serving, self.folder)

    def newest(self, count: int) -> list[Version]:
        numbered = reversed(versions(self.folder) if self.folder.is_dir() else [])
        complete = (version for version in (Version(str(path)) for path in numbered) if self.holds(version))
        return list(itertools.islice(complete, count))

    def holds(self, version: Version) -> bool:
        return SavedModel.is_model(SavedModel(Path(version.place)).names())

    @contextlib.contextmanager
    def reading(self, version: Version) -> Iterator[Path]:
        yield Path(version.place)

    def read(self, name: str) -> bytes | None:
        path = self.folder / name
        return path.read_bytes() if path.is_file() else None

    def write(self, name: str, content: bytes) -> None:
        try:
            atomic.write_bytes(self.folder / name, content)
        except OSError as error:
            raise explain_os_error(error) or UserError(f"cannot write to {self.folder}: {error}") from error

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        with _writable(self.folder), _lock(self.folder, _CHANGE_LOCK):
            yield

    def removal(self, version: Version) -> str:
        return shlex.join(["rm", "-r", version.place])


def push(serving: Path, base: Path) -> Version:
    """Makes the SavedModel in `serving` the newest version under `base`, unless it is that already.

    Raises a ConfigError if `base` is not a folder, and a UserError if it cannot be written or the disk is full. Then
    nothing is left behind.
    """
    with _writable(base), _lock(base, _LOCK) as locked:
        if locked:
            _remove_leftovers(base)
        return _push(serving, base)


@contextlib.contextmanager
def _writable(base: Path) -> Iterator[None]:
    """Makes the folder; says in a sentence why it, or what the block does there, cannot be written."""
    try:
        base.mkdir(parents=True, exist_ok=True)
        yield
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(f"{base}: expected a folder to push to, but it or a folder above it is a file") from None
    except OSError as error:
        raise explain_os_error(error) or UserError(f"cannot push to {base}: {error}") from error


def versions(base: Path) -> list[Path]:
    """Returns the folders of the versions, complete or not, the highest last."""
    numbered = (path for path in base.iterdir() if path.name.isascii() and path.name.isdecimal() and path.is_dir())
    return sorted((path for path in numbered if int(path.name) <= _HIGHEST), key=lambda path: int(path.name))


def _push(serving: Path, base: Path) -> Version:
    existing = versions(base)
    model = SavedModel(serving)
    complete_versions = [path for path in existing if SavedModel(path).exists or not model.exists]
    if complete_versions and _same(model, SavedModel(complete_versions[-1])):
        return Version(str(complete_versions[-1]), new=False)
    highest = int(existing[-1].name) if existing else 0
    number = max(int(time.time()), highest + 1)
    if number > _HIGHEST:
        raise UserError(f"cannot push to {base}: version {highest} is the highest there can be; remove that folder")
    temporary = base / f"{_TEMPORARY}{number}.{os.getpid()}"
    try:
        atomic.copy_tree(serving, temporary, last=[SavedModel.FILE])
        return Version(str(_rename(temporary, base, number)), new=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _rename(temporary: Path, base: Path, number: int) -> Path:
    """Renames the copy to the first free number; on a file system without locks another push may have taken one."""
    while True:
        try:
            os.rename(temporary, base / str(number))
            return base / str(number)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            number += 1


def _same(model: SavedModel, other: SavedModel) -> bool:
    return model.sizes() == other.sizes() and model.digest() == other.digest()


@contextlib.contextmanager
def _lock(base: Path, name: str) -> Iterator[bool]:
    """Waits until no other process holds the lock of that name; yields False on a file system without locks."""
    import fcntl  # Windows, where the commands run too, has none

    with open(base / name, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting for another push to %s", base)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            logger.warning("pushing without a lock: %s", error)
            yield False
            return
        yield True


def _remove_leftovers(base: Path) -> None:
    for path in sorted(base.glob(f"{_TEMPORARY}*")):
        logger.warning("removing %s, left by a push that was killed", path)
        shutil.rmtree(path)

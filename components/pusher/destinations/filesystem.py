"""Versions of a model in a folder, as TensorFlow Serving reads them: `<base>/<number>/saved_model.pb …`.

A model server watches the base folder. Every subfolder whose name is a number is a version, and it loads the highest.
So a version is copied to a folder with another name, which is renamed once it is complete. A lock lets only one process
push at a time.
"""

import contextlib
import errno
import fcntl
import functools
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from penstock.components.pusher.destinations import object_store
from penstock.components.pusher.destinations.version import Version
from penstock.core.arguments import check_object, check_string
from penstock.core.artifacts import SavedModel
from penstock.core.errors import ConfigError, UserError, explain_os_error
from penstock.core.files import atomic, object_stores

EXAMPLE = '{"base_directory": "<folder>"}'
_VERSIONINGS = ("AUTO", "UNIX_TIMESTAMP")
_TEMPORARY = ".pushing-"
_LOCK = ".push.lock"
_HIGHEST = 2**63 - 1  # TensorFlow Serving's versions are int64
logger = logging.getLogger(__name__)


def destination(name: str, settings: object) -> Callable[[Path], Version]:
    """Returns the function that pushes to the `base_directory` of TFX's PushDestination.Filesystem.

    The folder may be in an object store. Messages call the settings `name`. Raises a ConfigError if they do not fit.
    """
    filesystem = check_object(name, settings, ("base_directory", "versioning"), EXAMPLE)
    versioning = filesystem.get("versioning", "AUTO")
    if versioning not in _VERSIONINGS:
        raise ConfigError(f"{name}.versioning: expected one of {', '.join(_VERSIONINGS)}, received {versioning!r}")
    base = check_string(f"{name}.base_directory", filesystem.get("base_directory"), "a folder")
    if object_stores.is_remote(base):
        return functools.partial(object_store.push, base=base.rstrip("/"))
    return functools.partial(push, base=atomic.local_path(base).absolute())


def push(serving: Path, base: Path) -> Version:
    """Makes the SavedModel in `serving` the newest version under `base`, unless it is that already.

    The version's number is the time in Unix seconds, or one more than the highest number if that is not lower. That
    happens after two pushes in a second, or if a clock was set back.

    Raises a ConfigError if `base` is not a folder, and a UserError if it cannot be written or the disk is full. Then
    nothing is left behind.
    """
    try:
        base.mkdir(parents=True, exist_ok=True)
        with _lock(base) as locked:
            if locked:
                _remove_leftovers(base)
            return _push(serving, base)
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(f"base_directory: expected a folder, but {base} or a folder above it is a file") from None
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
def _lock(base: Path) -> Iterator[bool]:
    """Waits until no other process pushes to `base`; yields False on a file system without locks."""
    with open(base / _LOCK, "a") as file:
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

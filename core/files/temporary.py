"""Temporary folders and files that carry the name of their process.

They go with it. What a killed process has left, the next one that makes some in the same place removes. What another
machine's process writes, whose end nobody may learn of, is kept in a folder: once that is gone, so is what it writes.
"""

import contextlib
import errno
import functools
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from penstock.core import processes
from penstock.core.files import paths

_OWN_PREFIX = "penstock-"
_DAY = 24 * 60 * 60.0  # seconds
_FILE = re.compile(rf"\..*\.({processes.PATTERN})\.tmp", re.DOTALL)
_MOST_BYTES = 200  # of a name: file systems take 255
_kept_in: ContextVar[Path | None] = ContextVar("kept_in", default=None)  # of a thread, as an engine's worker is one


@contextlib.contextmanager
def folder(parent: Path | None = None, prefix: str = _OWN_PREFIX) -> Iterator[Path]:
    """Yields a new folder in `parent`, by default the system's place for temporary files; it is removed at the end."""
    place = Path(tempfile.gettempdir()) if parent is None else parent
    _remove_folders(place, prefix)
    made = Path(tempfile.mkdtemp(prefix=f"{prefix}{processes.name()}-", dir=place))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def beside(path: Path) -> Path:
    """Returns a hidden name beside `path`, for what is renamed to it; removes what killed processes left there.

    Within `kept_in` it is a name in that folder; a FileNotFoundError once that is gone.
    """
    name = paths.shortened(path.name, _MOST_BYTES)
    folder = _kept_in.get()
    if folder is not None:
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        return folder / f".{name}.{uuid.uuid4().hex[:8]}.{processes.name()}.tmp"
    _remove_files_once(path.parent, os.getpid())
    return path.with_name(f".{name}.{processes.name()}.tmp")


@contextlib.contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Keeps in `folder`, in this thread, all that is renamed into its place once it is whole; no name is used twice.

    The folder is best on the disk of these places: a file for another one is copied in the end. Where somebody renames
    or removes it, nothing written here gets into its place any more: so a computation that was given up leaves no file
    behind, and replaces none, however late it ends.
    """
    token = _kept_in.set(folder)
    try:
        yield
    finally:
        _kept_in.reset(token)


def remove_leftovers(folder: Path) -> None:
    """Removes what killed processes left below a folder.

    What a process on another machine is not known to have left, it may be writing: that is removed after a day.
    """
    for path in sorted(folder.rglob(".*.tmp")):
        _remove_if_left(path, _FILE.fullmatch(path.name))


def _remove_folders(place: Path, prefix: str) -> None:
    pattern = re.compile(rf"{re.escape(prefix)}(?:({processes.PATTERN})-)?\w+")
    with contextlib.suppress(OSError):
        for path in sorted(place.glob(f"{prefix}*")):
            match = pattern.fullmatch(path.name)
            if match and (match[1] or prefix != _OWN_PREFIX):
                _remove_if_left(path, match)


@functools.lru_cache(maxsize=4096)
def _remove_files_once(place: Path, process: int) -> None:
    """Once for each folder in each process, so that a folder is not listed for each of its files."""
    with contextlib.suppress(OSError):
        for path in sorted(place.glob(".*.tmp")):
            match = _FILE.fullmatch(path.name)
            if match:
                _remove_if_left(path, match)


def _remove_if_left(path: Path, match: re.Match[str] | None) -> None:
    with contextlib.suppress(OSError):  # another run may be removing it
        ended = processes.has_ended(match[1]) if match and match[1] else None
        if ended is None:
            ended = time.time() - path.lstat().st_mtime > _DAY
        if ended:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

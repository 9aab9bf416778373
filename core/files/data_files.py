"""Files that data is read from: on this machine, or objects of a store, of which ranges are read as they are needed.

Both have `open("rb")`, and their `str` is what a person knows them by. No object is copied to this machine. A process
connects to a store when it first reads one of its objects: so what is passed to another process is a name and a size.

    with data_files.connections():
        with file.open("rb") as content:
            first = content.read(4)
"""

import contextlib
import io
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from penstock.core.errors import SystemFailure
from penstock.core.files import object_stores
from penstock.core.files.object_stores import Store
from penstock.core.services import retries
from penstock.core.services.retries import Unanswered

_BUFFER = 4 << 20  # bytes that are asked for at a time, where a file is read from its beginning to its end


@dataclass(frozen=True)
class RangedFile(ABC):
    """A file that is none of this machine's, and of which ranges can be read. Picklable.

    `uri` is what a person knows it by, `size` its bytes.
    """

    uri: str
    size: int

    def __str__(self) -> str:
        return self.uri

    @property
    def name(self) -> str:
        """The last part of its name."""
        return self.uri.rpartition("/")[2]

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """Returns a file of which a few megabytes are read at a time."""
        return io.BufferedReader(_Ranges(self), _BUFFER)

    @abstractmethod
    def content(self, start: int, end: int) -> bytes:
        """Returns the bytes from `start` to `end`, which may lie behind the file's."""


@dataclass(frozen=True)
class ObjectFile(RangedFile):
    """An object of a store whose bucket is not mounted, as it was when it was listed."""

    def content(self, start: int, end: int) -> bytes:
        """Returns the bytes from `start` to `end`, which may lie behind the object's.

        The stores' libraries ask again where a connection is cut or refused, some times and later each time; of an
        answer that ends early this does so. Raises what `object_stores.open_store` says, and a SystemFailure for an
        object that has become smaller.
        """
        end = min(end, self.size)
        content = b""
        for number in range(1, retries.TRIES + 1):
            content = _connected(self.uri).read_range(self.uri, start, end) if start < end else b""
            if len(content) == max(end - start, 0):
                break
            what = f"{self.uri}: expected {end - start:,} bytes of it, received {len(content):,}"
            if number == retries.TRIES:
                raise SystemFailure(f"{what}: it was changed while it was read: run it again")
            retries.pause(number, Unanswered(what))
        return content


DataFile = Path | RangedFile


def size(file: DataFile) -> int:
    """Returns how many bytes a file has."""
    return file.size if isinstance(file, RangedFile) else file.stat().st_size


def content(file: DataFile, start: int, end: int) -> bytes:
    """Returns the bytes of a file from `start` to `end`."""
    if isinstance(file, RangedFile):
        return file.content(start, end)
    with file.open("rb") as opened:
        opened.seek(start)
        return opened.read(end - start)


class _Ranges(io.RawIOBase):
    """It as a file without a buffer: each read is a request."""

    def __init__(self, file: RangedFile):
        super().__init__()
        self._file, self._position = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader passes
        content = self._file.content(self._position, self._position + len(buffer))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


class _Connections(threading.local):
    """The stores that this process has opened, by their schemes. A process that is forked has to open its own."""

    def __init__(self) -> None:
        self.process = 0
        self.users = 0
        self.stores: dict[str, Store] = {}
        self.stack = contextlib.ExitStack()
        self.of_others: list[contextlib.ExitStack] = []  # kept: to end them would wait for threads that are not here


_connections = _Connections()


def _own() -> _Connections:
    """Returns the connections of this process: what a fork has copied are another's."""
    if _connections.process != os.getpid():
        _connections.process, _connections.users = os.getpid(), 0
        _connections.of_others.append(_connections.stack)
        _connections.stores, _connections.stack = {}, contextlib.ExitStack()
    return _connections


def _connected(uri: str) -> Store:
    own, scheme = _own(), uri.partition("://")[0]
    if scheme not in own.stores:
        own.stores[scheme] = own.stack.enter_context(object_stores.open_store(uri))
    return own.stores[scheme]


@contextlib.contextmanager
def connections() -> Iterator[None]:
    """Ends what was connected in the body, in this process and thread, once the outermost one of these ends.

    A worker, which ends with its connections, needs none.
    """
    _own().users += 1
    try:
        yield
    finally:
        own = _own()
        own.users -= 1
        if own.users <= 0:
            own.stores.clear()
            stack, own.stack = own.stack, contextlib.ExitStack()
            stack.close()

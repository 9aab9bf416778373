"""Journals: events on the disk in the order in which they came, in files that are only added to.

    000007.3f2a9c1e4711.journal     the number, and a name that no other collector's journal has

A journal is a sequence of frames: a letter (what it is), the lengths of attributes and body, a checksum, and both. It
begins with what the journal before it has left: the events that wait for their other half, and which are finished, by
which an event is known that is delivered once more. Where a process was killed while it added a frame, that one is not
whole: nobody was told that it is there. A disk may also damage a frame, and then those after it cannot be told from
it. So what follows the whole frames is kept, in a file `….journal.BYTE.damaged`, before it is removed; as long as that
fails the journal takes no events. Nobody removes these files.
"""

import contextlib
import itertools
import logging
import os
import re
import struct
import uuid
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Self

import orjson

from penstock.components.event_collector.events import Event, Half
from penstock.core.files import atomic

_NAME = re.compile(r"(?P<number>\d{6,})\.(?P<name>[0-9a-f]{12})\.journal")
_HEADER = struct.Struct("<cIII")  # a letter, the lengths of the attributes and of the body, and a checksum of both
_EVENT, _CARRIED, _FINISHED = b"e", b"c", b"f"
_ATTRIBUTES = [one.name for one in fields(Event) if one.name != "body"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Content:
    """What is in a journal: events, those of them that the journal before has left, and what was finished there."""

    events: list[Event] = field(default_factory=list)
    carried: set[Half] = field(default_factory=set)
    finished: set[Half] = field(default_factory=set)


@dataclass(frozen=True)
class JournalFile:
    """A journal on the disk."""

    path: Path
    number: int
    name: str

    @classmethod
    def all(cls, folder: Path) -> list[Self]:
        """Returns the journals of a folder, the oldest first."""
        matches = ((path, _NAME.fullmatch(path.name)) for path in folder.glob("*.journal"))
        return sorted(
            (cls(path, int(match["number"]), match["name"]) for path, match in matches if match),
            key=lambda one: one.number,
        )

    @classmethod
    def create(cls, folder: Path, number: int, carried: Iterable[Event], finished: Iterable[Half]) -> Self:
        """Makes a journal that begins with what the one before has left; it is whole, or after an error not there."""
        name = uuid.uuid4().hex[:12]
        path = folder / f"{number:06d}.{name}.journal"
        try:
            with atomic.replacing(path) as made, open(made, "wb") as file:
                file.writelines(_frame(_CARRIED, event) for event in carried)
                file.write(_framed(_FINISHED, orjson.dumps([*finished]), b""))
                file.flush()
                os.fsync(file.fileno())
            atomic.sync_folder(folder)
        except BaseException:
            path.unlink(missing_ok=True)  # another one gets its number
            raise
        return cls(path, number, name)

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size

    def read(self) -> Content:
        """Returns what is in the journal, up to a frame that is not whole."""
        content = Content()
        for letter, attributes, body in _frames(self.path.read_bytes()):
            if letter == _FINISHED:
                content.finished.update(((model, id), kind) for (model, id), kind in orjson.loads(attributes))
                continue
            event = Event(**orjson.loads(attributes), body=body)
            content.events.append(event)
            if letter == _CARRIED:
                content.carried.add(event.half)
        return content

    def whole_bytes(self) -> int:
        """Returns how many bytes are whole frames."""
        frames = _frames(self.path.read_bytes())
        return sum(_HEADER.size + len(attributes) + len(body) for _, attributes, body in frames)

    def keep_rest(self) -> None:
        """Copies what follows the whole frames to a file beside the journal, and says so; an OSError if it cannot.

        A place may be damaged again: no file takes another one's name.
        """
        whole = self.whole_bytes()
        rest = self.path.read_bytes()[whole:]
        if not rest:
            return
        for number in itertools.count(1):
            kept = self.path.with_name(f"{self.path.name}.{whole}{f'-{number}' if number > 1 else ''}.damaged")
            if not kept.exists():
                break
            if kept.read_bytes() == rest:  # by somebody who could not remove it afterwards
                return
        with atomic.replacing(kept) as made, open(made, "wb") as file:
            file.write(rest)
            file.flush()
            os.fsync(file.fileno())
        atomic.sync_folder(kept.parent)
        logger.warning("%s: from byte %d on, %d bytes cannot be read; %s has them", self.path, whole, len(rest), kept)


class JournalWriter:
    """Adds events to a journal, in place of what could not be written whole."""

    def __init__(self, journal: JournalFile) -> None:
        self.journal = journal
        self.bytes = journal.whole_bytes()
        self._is_cut = False
        self._descriptor = os.open(journal.path, os.O_WRONLY)
        try:
            journal.keep_rest()
        except OSError as error:  # a full disk, as a rule, where only a new start has files written and removed
            logger.error("%s takes no events until what cannot be read there is kept: %s", journal.path, error)
            return
        try:
            self._cut()
        except BaseException:
            os.close(self._descriptor)
            raise

    def append(self, events: Iterable[Event]) -> None:
        """Adds events; they are on the disk then. An OSError if that is not sure: the next ones take their place."""
        if not self._is_cut:
            self.journal.keep_rest()
            self._cut()
        frames = memoryview(b"".join(_frame(_EVENT, event) for event in events))
        written = 0
        try:
            while written < len(frames):
                written += os.pwrite(self._descriptor, frames[written:], self.bytes + written)
            os.fsync(self._descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                self._cut()  # else what nobody was told is kept would look like damage
            raise
        self.bytes += len(frames)

    def _cut(self) -> None:
        os.ftruncate(self._descriptor, self.bytes)
        self._is_cut = True

    def close(self) -> None:
        os.close(self._descriptor)


def _frame(letter: bytes, event: Event) -> bytes:
    attributes = {name: getattr(event, name) for name in _ATTRIBUTES}
    return _framed(letter, orjson.dumps(attributes), event.body)


def _framed(letter: bytes, attributes: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(attributes))
    return b"".join((_HEADER.pack(letter, len(attributes), len(body), checksum), attributes, body))


def _frames(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    start = 0
    while start + _HEADER.size <= len(content):
        letter, first, second, checksum = _HEADER.unpack_from(content, start)
        begin = start + _HEADER.size
        start = begin + first + second
        attributes, body = content[begin : begin + first], content[begin + first : start]
        if start > len(content) or zlib.crc32(body, zlib.crc32(attributes)) != checksum:
            return
        yield letter, attributes, body

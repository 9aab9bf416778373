"""FlowFiles as NiFi's site-to-site protocol sends them: one after another, each with its attributes and its content.

A packet is the number of attributes (4 bytes, big-endian, as all numbers), each attribute's name and value in UTF-8
behind its length (4 bytes), the content's length (8 bytes) and the content. NiFi's StandardFlowFileCodec, version 1.
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from penstock.core.errors import DataError

MOST_ATTRIBUTES = 25_000  # as NiFi itself allows
_LONGEST = 16 << 20  # bytes of an attribute


@dataclass(frozen=True)
class FlowFile:
    """A FlowFile in a file of packets: its content is `size` bytes from `start` on."""

    attributes: Mapping[str, str]
    start: int
    size: int
    id: str

    @property
    def name(self) -> str:
        """What a person knows it by."""
        return f"FlowFile {self.attributes.get('filename', '?')} ({self.id})"


def encode(attributes: Mapping[str, str], content: bytes) -> bytes:
    """Returns a FlowFile as a packet."""
    parts = [struct.pack(">i", len(attributes))]
    for text in (text for pair in attributes.items() for text in pair):
        encoded = text.encode()
        parts += [struct.pack(">i", len(encoded)), encoded]
    return b"".join([*parts, struct.pack(">q", len(content)), content])


def flow_files(path: Path, where: str) -> Iterator[FlowFile]:
    """Yields the FlowFiles of a file of packets; a DataError for what is none, and for a packet that was cut.

    A FlowFile's id is its attribute uuid, which it keeps for life; without one, a digest of all that it is.
    """
    end = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < end:
            began = file.tell()
            attributes = {}
            for _ in range(_number(file, 4, MOST_ATTRIBUTES, where)):
                name = _text(file, where)
                attributes[name] = _text(file, where)
            size = _number(file, 8, end, where)
            start = file.tell()
            if start + size > end:
                raise DataError(f"{where}: a FlowFile of {size:,} bytes was cut after {end - start:,}")
            yield FlowFile(attributes, start, size, attributes.get("uuid") or _digest(path, began, start + size))
            file.seek(start + size)


def _number(file: BinaryIO, width: int, most: int, where: str) -> int:
    number = int.from_bytes(_bytes(file, width, where), "big", signed=True)
    if not 0 <= number <= most:
        raise DataError(f"{where}: expected FlowFiles as NiFi sends them, found a number of {number:,} in their place")
    return number


def _text(file: BinaryIO, where: str) -> str:
    return _bytes(file, _number(file, 4, _LONGEST, where), where).decode(errors="replace")


def _bytes(file: BinaryIO, count: int, where: str) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise DataError(f"{where}: a FlowFile was cut within its attributes")
    return found


def _digest(path: Path, start: int, end: int) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (part := file.read(min(1 << 20, end - start))):
            total.update(part)
            start += len(part)
    return f"sha256-{total.hexdigest()}"

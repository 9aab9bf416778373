"""Text that was compressed, or in another encoding than UTF-8, in a form of which ranges can be read.

It is compressed again, some megabytes at a time, so a copy is about as large as such a file, and not as its text.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.core.files import atomic
from penstock.core.files.data_files import DataFile, RangedFile

_PART = 1 << 20  # bytes of text that are compressed together
_CODEC = "zstd"
_NUMBER = 8  # bytes


@dataclass(frozen=True)
class PackedFile(RangedFile):
    """A copy in `path` of a file's text: parts of a megabyte, compressed, and behind them the offset of each.

    Its name is that of the file, and its size that of the text.
    """

    path: Path

    def content(self, start: int, end: int) -> bytes:
        end = min(end, self.size)
        if start >= end:
            return b""
        offsets = _offsets(self.path, -(-self.size // _PART))
        first, last = start // _PART, (end - 1) // _PART
        with open(self.path, "rb") as file:
            file.seek(offsets[first])
            compressed = file.read(offsets[last + 1] - offsets[first])
        parts = []
        for part in range(first, last + 1):
            begin, finish = (int(offsets[place] - offsets[first]) for place in (part, part + 1))
            size = min(_PART, self.size - part * _PART)
            parts.append(pa.decompress(compressed[begin:finish], size, _CODEC, asbytes=True))
        return b"".join(parts)[start - first * _PART : end - first * _PART]


def write(path: Path, original: DataFile, text: Iterable[bytes]) -> PackedFile:
    """Writes a file's text to `path`, whole or not at all."""
    offsets, size = [0], 0
    with atomic.replacing(path) as temporary, open(temporary, "wb") as file:
        for part in _parts(text):
            file.write(pa.compress(part, _CODEC, asbytes=True))
            offsets.append(file.tell())
            size += len(part)
        file.write(np.array(offsets, "<i8").tobytes())
    return PackedFile(str(original), size, path)


def _offsets(path: Path, parts: int) -> npt.NDArray[np.int64]:
    """Returns where each part begins, and where the last one ends."""
    with open(path, "rb") as file:
        file.seek(-_NUMBER * (parts + 1), 2)
        return np.frombuffer(file.read(), "<i8").astype(np.int64)


def _parts(text: Iterable[bytes]) -> Iterator[bytes]:
    """Yields text in parts of a megabyte, the last one excepted."""
    rest = bytearray()
    for piece in itertools.chain(text, [b""]):
        rest += piece
        while len(rest) >= _PART:
            yield bytes(rest[:_PART])
            del rest[:_PART]
    if rest:
        yield bytes(rest)

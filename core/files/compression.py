"""Compressed files, known by how they begin: gzip, bzip2, xz and Zstandard.

Standard library only, but for Zstandard, which takes pyarrow.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from penstock.core.errors import DataError, UserError
from penstock.core.files.data_files import DataFile

_KINDS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "Zstandard"}
_LONGEST = max(map(len, _KINDS))


def kind(start: bytes) -> str:
    """Returns how a file is compressed that begins like that, "" if it is not."""
    return next((name for mark, name in _KINDS.items() if start.startswith(mark)), "")


@contextlib.contextmanager
def opened(file: DataFile) -> Iterator[BinaryIO]:
    """Gives the content of a file, compressed or plain; a DataError in the body names what is damaged or cut off."""
    with file.open("rb") as compressed:
        how = kind(compressed.read(_LONGEST))
        compressed.seek(0)
        with _explained(file, how), _unpacked(compressed, how) as content:
            yield content


def _unpacked(file: BinaryIO, how: str) -> BinaryIO:
    if how == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if how == "bzip2":
        return cast(BinaryIO, bz2.BZ2File(file))
    if how == "xz":
        return cast(BinaryIO, lzma.LZMAFile(file))
    return _zstandard(file) if how else file


def _zstandard(file: BinaryIO) -> BinaryIO:
    try:
        import pyarrow
    except ImportError:
        raise UserError("to read Zstandard data takes pyarrow: pip install 'penstock[runtime]'") from None
    return cast(BinaryIO, io.BufferedReader(_Readable(pyarrow.CompressedInputStream(file, "zstd"))))


class _Readable(io.RawIOBase):
    """A stream of Arrow's as Python knows them."""

    def __init__(self, stream: BinaryIO):
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader passes
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


@contextlib.contextmanager
def _explained(file: DataFile, how: str) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise DataError(f"{file}: the {how} data ends early: the file was cut off") from None
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{file}: the {how} data is damaged: {error}") from None
    except (OSError, ValueError) as error:
        if not how or isinstance(error, UnicodeDecodeError):
            raise
        raise DataError(f"{file}: the {how} data is damaged: {error}") from None

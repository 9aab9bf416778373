"""Standard output and standard error that may be closed, full, or read by nobody.

A command does its work all the same, as a well-behaved program does. What standard error does not take is lost. What
standard output does not take is told at the end, by a sentence and the exit code.
"""

import io
import os
import sys
from typing import Any, Self, TextIO


class _Lossy(io.RawIOBase):
    """A file that takes everything, and keeps the first error of the file behind it."""

    def __init__(self, behind: io.RawIOBase) -> None:
        self._behind = behind
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._behind.isatty()

    def fileno(self) -> int:
        return self._behind.fileno()

    def write(self, data: Any) -> int:
        try:
            written = self._behind.write(data)
        except OSError as error:
            self.error = self.error or error
            written = None
        return len(data) if written is None else written


class StandardStreams:
    """Makes this process' standard streams take everything, if they are those that it was started with.

    A context manager, at whose end they are what they were.
    """

    def __enter__(self) -> Self:
        _open_closed()
        self._before = sys.stdin, sys.stdout, sys.stderr
        self._output: _Lossy | None = None
        sys.stdin = sys.stdin or open(0)
        if sys.stdout is sys.__stdout__:
            sys.stdout, self._output = _lossy(sys.stdout, 1)
        if sys.stderr is sys.__stderr__:
            sys.stderr, _ = _lossy(sys.stderr, 2)
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdin, sys.stdout, sys.stderr = self._before

    def lost(self) -> OSError | None:
        """Writes what is still buffered; returns why standard output did not take all, None if it did."""
        if self._output is None:
            return None
        sys.stdout.flush()
        return self._output.error


def _open_closed() -> None:
    """Opens what is closed of the descriptors 0 to 2, or the next file that is opened would become one of them.

    Writing to a closed standard output is to fail, so it is opened for reading.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)


def _lossy(stream: TextIO | None, number: int) -> tuple[TextIO, _Lossy]:
    raw: Any = getattr(getattr(stream, "buffer", None), "raw", None)  # on Windows a console's own kind of file
    lossy = _Lossy(raw or io.FileIO(number, "w", closefd=False))
    text = io.TextIOWrapper(
        io.BufferedWriter(lossy),
        encoding=getattr(stream, "encoding", None),
        errors=getattr(stream, "errors", None) or "backslashreplace",
        line_buffering=lossy.isatty() or number == 2,
    )
    return text, lossy

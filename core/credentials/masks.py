"""Masks credentials in texts, values and streams. What is masked already stays as it is."""

import functools
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from penstock.core.credentials import names, shapes
from penstock.core.files import atomic

MASK = "***"
_SALT = b"penstock"
_LONGEST_LINE = 1 << 16  # characters of a line that wait for its end
_PART = 1 << 20  # bytes of a file that are masked at once


def masked(text: str) -> str:
    """Returns a text with a mask in place of the secret part of each credential in it."""
    return _replaced(text, lambda secret: MASK)


def masked_value(value: Any, name: str = "") -> Any:
    """Returns a value, as JSON has them, with masks in it; `name` is its own, which may tell of a secret."""
    return _covered(value, name, lambda secret: MASK)


def fingerprinted(value: Any, name: str = "") -> Any:
    """Returns a value as `masked_value` does, with masks that differ where the secrets differ.

    A mask has 40 bits of a digest that takes long to compute, so that a password cannot be guessed from it.
    """
    return _covered(value, name, lambda secret: MASK + _fingerprint(secret))


@functools.cache
def _fingerprint(secret: str) -> str:
    return hashlib.scrypt(secret.encode(errors="surrogatepass"), salt=_SALT, n=1 << 14, r=8, p=1, dklen=5).hex()


def mask_streams() -> None:
    """Masks what this process prints from now on, and what Python logs to its standard streams."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Masking):
            setattr(sys, name, _Masking(stream))


def mask_file(path: Path) -> None:
    """Masks a text file that nobody writes to any more; it is replaced as a whole, if there is a credential in it."""
    if all(text == masked(text) for text in _parts(path)):
        return
    with atomic.replacing(path) as temporary, temporary.open("wb") as file:
        for text in _parts(path):
            file.write(masked(text).encode(errors="surrogateescape"))


def _parts(path: Path) -> Iterator[str]:
    """Yields the lines of a file, as many at once as memory holds easily: a key may have several."""
    with path.open("rb") as file:
        while lines := file.readlines(_PART):
            yield b"".join(lines).decode(errors="surrogateescape")


class _Masking:
    """A stream that masks what is written to it, by whole lines; everything else is the stream's own.

    The beginning of a line waits for the rest of it, or until the stream is flushed.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""
        self._renew_lock()
        os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()  # the old one may be another thread's, which a fork does not have

    def write(self, text: str) -> int:
        with self._lock:
            lines = self._line + text
            end = max(lines.rfind("\n"), lines.rfind("\r")) + 1
            if end == 0 and len(lines) > _LONGEST_LINE:
                end = len(lines)
            self._line = lines[end:]
            if end:
                self._stream.write(masked(lines[:end]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._lock:
            line, self._line = self._line, ""
            if line:
                self._stream.write(masked(line))
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _covered(value: Any, name: str, cover: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {_covered(key, "", cover): _covered(part, str(key), cover) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_covered(part, name, cover) for part in value]
    if names.is_secret(name, value):
        return cover(str(value))
    return _replaced(value, cover) if isinstance(value, str) else value


def _replaced(text: str, cover: Callable[[str], str]) -> str:
    found = [*shapes.credentials(text), *shapes.assignments(text)]
    parts, end = [], 0
    for credential in sorted(found, key=lambda credential: (credential.start, -credential.end)):
        if credential.end <= end:
            continue
        start = max(credential.start, end)
        parts += [text[end:start], cover(text[start : credential.end])]
        end = credential.end
    return "".join([*parts, text[end:]]) if parts else text

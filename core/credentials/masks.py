"""Masks credentials in texts, values and streams. What is masked already stays as it is."""

import functools
import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from penstock.core.credentials import names, shapes

MASK = "***"
_SALT = b"penstock"


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


class _Masking:
    """A stream that masks what is written to it; everything else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(masked(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

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

"""The bearer token that requests must carry, if the server is given one."""

import hashlib
import hmac
import logging
import os
import time
from pathlib import Path

from penstock.components.model_server.operation import settings
from penstock.core.errors import ConfigError
from penstock.core.files import documents

_logger = logging.getLogger(__name__)

_AGAIN = 1.0  # seconds after which a file is looked at again
_SHORTEST = 8  # characters; fewer are guessed
_SCHEME = b"bearer "

REFUSAL = "expected the header 'Authorization: Bearer TOKEN' with the server's token"


class Tokens:
    """The tokens that are accepted: of an environment variable, or of a file, which may change at any time."""

    def __init__(self, token: settings.Token):
        self._file = token.file
        self._checked = time.monotonic()
        if token.file is None:
            self._digests = _digests(os.environ.get(token.variable, ""), f"the variable {token.variable}")
        else:
            self._state = _state(token.file)
            self._digests = _read(token.file)

    def accept(self, authorization: bytes | None) -> bool:
        """Whether the value of a header `Authorization` has one of the tokens; it takes as long for any wrong one."""
        if self._file is not None and time.monotonic() - self._checked >= _AGAIN:
            self._renew()
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            return False
        digest = _digest(authorization[len(_SCHEME) :].strip())
        accepted = False
        for known in self._digests:
            accepted |= hmac.compare_digest(digest, known)
        return accepted

    def _renew(self) -> None:
        """Reads the file again if it has changed. If it has none, the tokens stay: a change may be half done."""
        assert self._file
        self._checked = time.monotonic()
        try:
            state = _state(self._file)
            if state == self._state:
                return
            self._digests, self._state = _read(self._file), state
        except ConfigError as error:
            _logger.warning("%s: the tokens that it had are accepted still", error.message)
        else:
            _logger.info("the token file %s has changed: its %d tokens are accepted", self._file, len(self._digests))


def _state(file: Path) -> tuple[int, ...]:
    try:
        status = os.stat(file)
    except OSError as error:
        raise ConfigError(f"token file {file} cannot be read: {error.strerror}") from None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _read(file: Path) -> tuple[bytes, ...]:
    try:
        text = documents.read_text(file)
    except documents.DocumentError as error:
        raise ConfigError(f"token file {error}") from None
    except OSError as error:
        raise ConfigError(f"token file {file} cannot be read: {error.strerror}") from None
    return _digests(text, f"the file {file}")


def _digests(text: str, place: str) -> tuple[bytes, ...]:
    """Returns the digest of each line; a ConfigError, which does not show them, if there is none or a short one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ConfigError(f"token: expected a token in {place}, found none")
    if any(len(line) < _SHORTEST or not line.isascii() or " " in line for line in lines):
        raise ConfigError(
            f"token: expected at least {_SHORTEST} ASCII characters without spaces in each line of {place}"
        )
    return tuple(_digest(line.encode()) for line in lines)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()

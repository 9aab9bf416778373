"""A secret by where it is: an environment variable, or a file that is mounted."""

import os
from pathlib import Path

from penstock.core.errors import ConfigError, NoCredentials
from penstock.core.files import documents


def secret(key: str, variable: str, file: str) -> str:
    """Returns what `held` does, as a header or a sign-in can hold it: a line of ASCII, without blanks around it."""
    value = held(key, variable, file)
    if not value:
        return ""
    place, value = _place(key, variable, file), value.strip()
    if not value:
        raise ConfigError(f"{place} is empty")
    if not (value.isascii() and value.isprintable()):
        raise ConfigError(f"{place}: expected one line of ASCII characters; perhaps more than the secret was copied")
    return value


def held(key: str, variable: str, file: str) -> str:
    """Returns the text that a variable or a file holds, without line feeds at the file's end; "" where neither is
    named. `key` is what names it, without its ending. A ConfigError where it is not to be had, or empty.
    """
    if variable:
        return of_variable(f"{key}_env", variable)
    if not file:
        return ""
    try:
        value = documents.read_text(Path(file)).rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{key}_file: {file}: {reason}") from None
    if not value:
        raise ConfigError(f"{_place(key, variable, file)} is empty")
    return value


def of_variable(key: str, name: str) -> str:
    """Returns what an environment variable holds; NoCredentials where it is not set. `key` is what names it."""
    value = os.environ.get(name, "")
    if not value.strip():
        raise NoCredentials(f"{key}: the environment variable {name} is not set where this task runs", variable=name)
    return value


def _place(key: str, variable: str, file: str) -> str:
    return f"{key}_env: the environment variable {variable}" if variable else f"{key}_file: {file}"

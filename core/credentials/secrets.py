"""A secret by where it is: an environment variable, or a file that is mounted."""

import os
from pathlib import Path

from penstock.core.errors import ConfigError, NoCredentials
from penstock.core.files import documents


def secret(key: str, variable: str, file: str) -> str:
    """Returns the secret that a variable or a file holds; "" where neither is named. `key` is what names it, without
    its ending. A ConfigError where it is not there.
    """
    if variable:
        value = of_variable(f"{key}_env", variable).strip()
        return _plain(value, f"{key}_env: the environment variable {variable}")
    if not file:
        return ""
    try:
        value = documents.read_text(Path(file)).strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{key}_file: {file}: {reason}") from None
    if not value:
        raise ConfigError(f"{key}_file: {file} is empty")
    return _plain(value, f"{key}_file: {file}")


def of_variable(key: str, name: str) -> str:
    """Returns what an environment variable holds; NoCredentials where it is not set. `key` is what names it."""
    value = os.environ.get(name, "")
    if not value.strip():
        raise NoCredentials(f"{key}: the environment variable {name} is not set where this task runs", variable=name)
    return value


def _plain(value: str, place: str) -> str:
    """Returns a secret that a header and a sign-in can hold."""
    if not (value.isascii() and value.isprintable()):
        raise ConfigError(f"{place}: expected one line of ASCII characters; perhaps more than the secret was copied")
    return value

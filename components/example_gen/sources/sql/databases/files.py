"""Databases that are a file."""

from pathlib import Path
from typing import TYPE_CHECKING

from penstock.core.errors import ConfigError, DataError
from penstock.core.files import paths

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


def path(url: "URL") -> Path:
    """Returns the file of a URL."""
    return Path(url.database or "")


def require(url: "URL") -> None:
    """Raises a ConfigError for a URL without a file, a DataError where the file is not there."""
    kind = url.get_backend_name()
    if not url.database or url.database == ":memory:" or url.host:
        raise ConfigError(f"sql.url: {kind}://: expected a file, {kind}:////FOLDER/FILE")
    if url.query:
        raise ConfigError(f"sql.url: ?{next(iter(url.query))}=: expected nothing after the file's name")
    try:
        paths.require(path(url))
    except ValueError as error:
        raise DataError(f"sql.url: {error}: expected a {kind} file where this task runs") from None
    if path(url).is_dir():
        raise DataError(f"sql.url: {path(url)} is a folder: expected a {kind} file")


def fingerprint(*files: Path) -> str:
    """Returns what changes when one of the files is written: their sizes, and when that was to the nanosecond."""
    found = [(file, file.stat()) for file in files if file.exists()]
    return ",".join(f"{file.name}:{stat.st_size}:{stat.st_mtime_ns}" for file, stat in found if stat.st_size)

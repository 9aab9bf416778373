"""Paths as people write them: what no file can have for a name, and why one that is written is not there.

What is wrong with a path is told by a ValueError, in a sentence that begins with the path.
"""

import errno
import hashlib
import os
from pathlib import Path

from penstock.core.text.printable import printable

_LONGEST_NAME = 255  # bytes, of a file's or folder's name, on all common file systems
_LONGEST_PATH = 4095
_NO_PLACES = ("/proc", "/sys")  # where nobody makes a file


def expanded(path: str) -> Path:
    """Returns the path with the home folder in place of ~ and ~user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user, or a user without a home folder
        user = path.partition("/")[0].removeprefix("~")
        whose = f"of a user {user!r}" if user else "of this user"
        raise ValueError(f"{path}: no home folder {whose} is known; a folder of this name is ./{path}") from None


def check(path: str) -> None:
    """Raises a ValueError for what can be no path: too long, with a NUL, or not UTF-8, which no pipeline can hold."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        shown = printable(path)
        raise ValueError(f"{shown}: its name is not UTF-8, and no pipeline can hold it: rename it") from None
    if b"\0" in encoded:
        raise ValueError(f"{path}: no path has a NUL in it")
    longest = max(encoded.split(b"/"), key=len)
    if len(longest) > _LONGEST_NAME:
        raise ValueError(f"{path}: a name in it has {len(longest):,} bytes, and {_LONGEST_NAME} is the most")
    if len(encoded) > _LONGEST_PATH:
        raise ValueError(f"{path}: it has {len(encoded):,} bytes, and {_LONGEST_PATH:,} is the most")


def shortened(name: str, longest: int = _LONGEST_NAME - 15) -> str:
    """Returns a file's name of at most so many bytes: long ones end in a digest, which keeps apart those alike.

    By default a temporary file's name still has room for its own parts.
    """
    encoded = os.fsencode(name)
    if len(encoded) <= longest:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return encoded[: longest - len(digest) - 1].decode(errors="ignore") + "-" + digest


def require(path: Path) -> None:
    """Raises a ValueError that says why there is nothing at a path."""
    try:
        path.stat()
    except OSError as error:
        raise ValueError(f"{path} {_reason(path, error)}") from None


def require_folder(path: Path) -> None:
    """Raises a ValueError if there can be no folder at a path, which need not exist yet."""
    if any(path.is_relative_to(place) for place in _NO_PLACES):
        raise ValueError(f"{path}: nothing can be written there: expected another folder")
    for folder in (path, *path.parents):
        if os.path.lexists(folder):
            require(folder)
            if not folder.is_dir():
                raise ValueError(f"{folder} is a file: expected a folder")
            return


def _reason(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "is a link that leads back to itself"
    if error.errno == errno.ENOENT and path.is_symlink():
        return f"is a link to {os.readlink(path)}, which does not exist"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "does not exist"
    if error.errno == errno.EACCES:
        return "is in a folder that this account may not look into"
    return f"cannot be read: {error.strerror}"

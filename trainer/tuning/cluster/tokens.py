"""The token of a search: a secret that its processes send to the chief with every request.

Anybody who reaches the chief's port, other accounts of this machine too, could hand in results otherwise. The chief's
own workers get the token in their environment. Other machines read it in the search's folder, which all of them see, in
a file that only this account may read; or whoever starts them gives all of them the same in PENSTOCK_SEARCH_TOKEN.
"""

import contextlib
import os
import secrets
from pathlib import Path

from penstock.core.files import atomic

VARIABLE = "PENSTOCK_SEARCH_TOKEN"
_FILE = "token"
_BYTES = 32


def new() -> str:
    """Returns a token that nobody can guess."""
    return secrets.token_urlsafe(_BYTES)


def make(folder: Path) -> str:
    """Returns the token of the search in `folder`. A chief that is started again finds that of the one before it."""
    token = read(folder)
    if not token:
        token = new()
        with atomic.replacing(folder / _FILE) as temporary:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(token)
    return token


def read(folder: Path) -> str:
    """Returns the token of the search in `folder`; "" as long as its chief has not made one."""
    token = os.environ.get(VARIABLE, "").strip()
    with contextlib.suppress(OSError):  # it is not there yet
        token = token or (folder / _FILE).read_text(encoding="utf-8").strip()
    return token

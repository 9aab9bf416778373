"""Ports that are one test's own, for servers that want to be told theirs.

A port that was found free and closed again may be given to another process before its server listens. These lie below
those that a system hands out, and a lock holds each of them as long as this process lives.
"""

import fcntl
import itertools
import os
import random
import socket
import tempfile
from pathlib import Path

_FIRST, _LAST = 10_000, 32_000
_FOLDER = Path(tempfile.gettempdir()) / "penstock-ports"


def reserve() -> int:
    """Returns a port of the loopback interface on which nothing listens, and that no other test gets."""
    _FOLDER.mkdir(exist_ok=True)
    start = random.randrange(_LAST - _FIRST)
    for step in itertools.count():
        port = _FIRST + (start + step) % (_LAST - _FIRST)
        lock = os.open(_FOLDER / str(port), os.O_WRONLY | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.create_server(("127.0.0.1", port)):
                pass
        except OSError:
            os.close(lock)
            continue
        return port  # its lock stays open
    raise AssertionError

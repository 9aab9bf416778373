"""Processes: names for them, whether they have ended, and that they do not outlive the one that started them."""

import functools
import hashlib
import os
import signal
import socket
import sys

PATTERN = r"[0-9a-f]{8}-\d+"


def name() -> str:
    """Returns this process' name, such as `3f2a9c1e-4711`: what it leaves behind may be called after it."""
    return f"{_machine()}-{os.getpid()}"


def has_ended(name: str) -> bool | None:
    """Whether the process of that name has ended; None if it ran on another machine, or in another container."""
    machine, _, number = name.partition("-")
    if machine != _machine() or sys.platform == "win32":  # where signal 0 would end it
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # another user's; or no number of a process
        return False
    return False


@functools.cache
def _machine() -> str:
    """Eight digits for this machine. Containers may share its name, but not the numbers of its processes."""
    try:
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux
        numbers = ""
    return hashlib.sha256(f"{socket.gethostname()} {numbers}".encode()).hexdigest()[:8]


def die_with_parent() -> None:
    """Asks Linux to kill this process if the thread that started it ends before it; elsewhere nothing happens."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

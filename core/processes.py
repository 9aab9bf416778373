"""Processes that do not outlive the one that started them."""

import signal
import sys


def die_with_parent() -> None:
    """Asks Linux to kill this process if its parent ends before it; elsewhere nothing happens."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

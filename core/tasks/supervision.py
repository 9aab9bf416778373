"""The process of a task on a cluster: a child does the work, and this process looks at what came of it.

KFP's launcher takes the exit code 0 for success, whether or not the task has written its outputs.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from penstock.core import failures, processes
from penstock.core.tasks import executor_output

_FORWARDED = (signal.SIGTERM, signal.SIGINT)
_begun = False


def begin() -> None:
    """Goes on in a child, once. This process waits for it and ends as it does; without outputs, as a failure.

    Nothing happens where this process is no task of KFP's, or has threads, which a child would lack.
    """
    global _begun
    executor_input = failures.executor_input(sys.argv)
    if _begun or executor_input is None or not _has_one_thread():
        return
    _begun = True
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or both processes would write what is still buffered
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)  # until this process can hand them on
    child = os.fork()
    if child == 0:
        processes.die_with_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return
    for number in _FORWARDED:
        signal.signal(number, lambda number, _: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _wait(child, executor_input)


def _has_one_thread() -> bool:
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:  # not Linux, so not a container
        return False


def _wait(child: int, executor_input: Mapping[str, Any]) -> NoReturn:
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        code = 128 - code  # as shells say it: the first process of a container is not killed by itself
    elif code == 0 and executor_output.is_expected() and executor_output.read(executor_input) is None:
        code = failures.tell(executor_output.missing())
    os._exit(code)

"""Starts the worker processes of a machine: forks of a process that has done the imports, or new processes.

The imports of a new process take 7 seconds of processor time, which a fork saves. But TensorFlow, gRPC and CUDA cannot
be forked once they have run. So a search forks one process before anything has run. That process runs none of them, and
workers are forked from it later.
"""

import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn, Protocol, Self

import keras

from penstock.core import processes
from penstock.trainer.tuning.cluster import worker


class Worker(Protocol):
    """A worker process."""

    def poll(self) -> int | None:
        """Returns the exit code, or minus the number of the signal that killed it; None while it runs."""
        ...

    def end(self) -> None:
        """Kills the process, and waits until it has ended."""
        ...


class Source:
    """Starts workers; a context manager, at whose end all workers that were forked have ended.

    fork: whether workers are forked from a copy of this process as it is now; nothing may have run in it yet. This
        works on Linux, and only with TensorFlow as Keras's backend, which reads the number of threads late enough.
        Elsewhere, or if that copy is killed, each worker is a new process.
    """

    def __init__(self, *, fork: bool) -> None:
        self._connection: Connection | None = None
        self._process: BaseProcess | None = None
        if fork and sys.platform == "linux" and keras.backend.backend() == "tensorflow":
            context = multiprocessing.get_context("fork")
            self._connection, far_end = context.Pipe()
            self._process = context.Process(target=_serve, args=(far_end, self._connection), name="tuner-source")
            self._process.start()
            far_end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.join()

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Worker:
        """Starts a worker: worker.main with these arguments, and with exactly this environment."""
        with contextlib.suppress(_Lost):
            return _Forked(self, self.ask("start", list(arguments), dict(environment)))
        return _New(arguments, environment)

    def ask(self, request: str, *arguments: object) -> Any:
        """Returns the answer of the process that forks: see _serve. Raises _Lost if there is no such process."""
        if self._connection is None:
            raise _Lost
        try:
            self._connection.send((request, *arguments))
            return self._connection.recv()
        except (EOFError, OSError):
            self._connection = None
            raise _Lost from None


class _Lost(Exception):
    """There is no process to fork from."""


class _Forked:
    def __init__(self, source: Source, pid: int) -> None:
        self._source, self._pid = source, pid

    def poll(self) -> int | None:
        try:
            code: int | None = self._source.ask("poll", self._pid)
        except _Lost:  # its forks have died with it
            return -signal.SIGKILL
        return code

    def end(self) -> None:
        with contextlib.suppress(_Lost):
            self._source.ask("end", self._pid)


# What a new process runs: it ends with this one from the start, also while it imports.
_MAIN = f"""
from penstock.core import processes
processes.die_with_parent()
import runpy
runpy.run_module({worker.MODULE!r}, run_name="__main__", alter_sys=True)
"""


class _New:
    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN, *arguments],
            env=environment,
            stdin=subprocess.PIPE,  # closes when this process ends, and then the worker ends as well
        )

    def poll(self) -> int | None:
        return self._process.poll()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def _serve(connection: Connection, callers_end: Connection) -> None:
    """Answers requests until the caller closes its end of the connection.

    start (arguments, environment) forks a worker and answers its process ID; poll (ID) answers its exit code; end (ID)
    kills it.
    """
    callers_end.close()  # a copy that stayed open would hide that the caller has closed it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends of it, and then this loop ends too
    gc.freeze()  # the garbage collector would write to, and so copy, memory that the forks share
    running: dict[int, BaseProcess] = {}
    with contextlib.suppress(EOFError, OSError):  # the caller has ended, or this machine has no more memory
        while True:
            request, *arguments = connection.recv()
            if request == "start":
                process = multiprocessing.get_context("fork").Process(target=_work, args=(connection, *arguments))
                process.start()
                assert process.pid is not None
                running[process.pid] = process
                connection.send(process.pid)
            elif request == "poll":
                connection.send(running[arguments[0]].exitcode)
            else:
                _end(running.pop(arguments[0]))
                connection.send(None)
    for remaining in running.values():
        _end(remaining)


def _end(process: BaseProcess) -> None:
    process.kill()
    process.join()


def _work(connection: Connection, arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    connection.close()  # a copy that stayed open would hide the end of the process that forks
    processes.die_with_parent()
    os.environ.clear()
    os.environ.update(environment)
    sys.exit(worker.main(arguments))

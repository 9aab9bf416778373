"""Starts the worker processes of a machine: forks of a process that has imported what they need, or new ones.

The imports of a new process take it 7 seconds of a processor, which a fork saves. But TensorFlow, gRPC and CUDA do not
survive a fork once they have run. So a search forks one process before anything has run, which runs nothing itself, and
from which workers are forked later.
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
    def poll(self) -> int | None:
        """Returns the exit code, negative for the signal that killed it; None while it runs."""
        ...

    def end(self) -> None:
        """Kills it, and waits until it has ended."""
        ...


class Source:
    """What workers are started from; a context manager, at whose end all of them have ended that were forked.

    With `fork` they are forked from a copy of this process as it is now, in which nothing may have run yet. That is
    done on Linux, and where Keras's backend is TensorFlow, whose libraries read their number of threads when they
    start to work. Else, and if that copy is killed, each worker is a new process.
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
        """Starts worker.main with these arguments and environment."""
        with contextlib.suppress(_Lost):
            return _Forked(self, self.ask("start", list(arguments), dict(environment)))
        return _New(arguments, environment)

    def ask(self, what: str, *given: Any) -> Any:
        """Returns what the process that forks answers; raises _Lost if there is none."""
        if self._connection is None:
            raise _Lost
        try:
            self._connection.send((what, *given))
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
        except _Lost:  # they have died with it
            return -signal.SIGKILL
        return code

    def end(self) -> None:
        with contextlib.suppress(_Lost):
            self._source.ask("end", self._pid)


class _New:
    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", worker.MODULE, *arguments],
            env=environment,
            stdin=subprocess.PIPE,  # its end is this process's, whose end a worker takes for its own
        )

    def poll(self) -> int | None:
        return self._process.poll()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def _serve(connection: Connection, callers_end: Connection) -> None:
    """Forks workers, and says what becomes of them, until the caller's end is closed."""
    callers_end.close()  # else its end would not be seen here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends, then this loop does
    gc.freeze()  # the collector would touch, and so copy, what is shared with the forks
    running: dict[int, BaseProcess] = {}
    with contextlib.suppress(EOFError, OSError):  # the caller has ended, or this machine has no more memory
        while True:
            what, *given = connection.recv()
            if what == "start":
                process = multiprocessing.get_context("fork").Process(target=_work, args=(connection, *given))
                process.start()
                assert process.pid is not None
                running[process.pid] = process
                connection.send(process.pid)
            elif what == "poll":
                connection.send(running[given[0]].exitcode)
            else:
                _end(running.pop(given[0]))
                connection.send(None)
    for left in running.values():
        _end(left)


def _end(process: BaseProcess) -> None:
    process.kill()
    process.join()


def _work(connection: Connection, arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    connection.close()  # else the end of the process that forks would not be seen at its other end
    processes.die_with_parent()
    os.environ.clear()
    os.environ.update(environment)
    sys.exit(worker.main(arguments))

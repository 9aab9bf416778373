"""The local engine: processes forked from this one, on this machine's cores."""

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any, Self, TypeVar

from penstock.core.errors import WorkerLost

Shard = TypeVar("Shard")
Result = TypeVar("Result")
_FORK = multiprocessing.get_context("fork")


class LocalEngine:
    """Forks a worker per core for every `map`.

    TensorFlow does not survive a fork once it has run something. So the engine forks one process when it is opened,
    which never runs TensorFlow and from which all workers are forked later; the caller may run what it likes.
    """

    def __init__(self, workers: int | None = None):
        self._workers = workers or _cores()
        self._connection: Connection | None = None
        self._source: Any = None

    def __enter__(self) -> Self:
        if self._workers > 1:
            self._connection, far_end = _FORK.Pipe()
            self._source = _FORK.Process(target=_serve, args=(far_end, self._connection, self._workers), name="engine")
            self._source.start()
            far_end.close()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._connection:
            self._connection.close()
            self._source.join(timeout=5)
            if self._source.is_alive():
                self._source.terminate()

    def map(self, function: Callable[[Shard], Result], shards: Iterable[Shard]) -> list[Result]:
        shards = list(shards)
        if self._connection is None or len(shards) < 2:
            return [function(shard) for shard in shards]
        try:
            self._connection.send_bytes(pickle.dumps((function, shards)))
            results, error = pickle.loads(self._connection.recv_bytes())
        except EOFError:
            raise WorkerLost(
                "the local engine's processes were killed, most likely for memory: use smaller shards"
            ) from None
        if error is not None:
            raise error
        return results  # type: ignore[no-any-return]


def _cores() -> int:
    """The cores that this process may use, where the system tells; else those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(connection: Connection, callers_end: Connection, workers: int) -> None:
    callers_end.close()  # else the end of the caller would not be seen here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends, then this loop does
    while True:
        try:
            request = connection.recv_bytes()
        except EOFError:
            return
        try:
            function, shards = pickle.loads(request)
            answer: tuple[Any, Any] = (_map(function, shards, workers), None)
        except Exception as error:
            answer = (None, error)
        try:
            connection.send_bytes(pickle.dumps(answer))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            connection.send_bytes(pickle.dumps((None, RuntimeError(f"{error}: {answer[1]!r}"))))
        except BrokenPipeError:
            return


def _map(function: Callable[[Any], Any], shards: list[Any], workers: int) -> list[Any]:
    results: dict[int, Any] = {}
    with ProcessPoolExecutor(min(workers, len(shards)), mp_context=_FORK) as pool:
        futures = [pool.submit(function, shard) for shard in shards]
        try:
            for index, future in enumerate(futures):
                try:
                    results[index] = future.result()
                except BrokenProcessPool:
                    pass  # one lost worker breaks the whole pool: the unanswered shards are tried below
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for index, shard in enumerate(shards):
        if index not in results:
            results[index] = _retry(function, shard)
    return [results[index] for index in range(len(shards))]


def _retry(function: Callable[[Any], Any], shard: Any) -> Any:
    """Computes one shard alone in a process of its own: less memory is in use, and only this shard can fail."""
    with ProcessPoolExecutor(1, mp_context=_FORK) as pool:
        try:
            return pool.submit(function, shard).result()
        except BrokenProcessPool:
            raise WorkerLost(
                f"the worker for one shard was killed twice, most likely for memory: {shard!r:.300}"
            ) from None

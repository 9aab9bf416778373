"""The local engine: processes forked from this one, on this machine's cores."""

import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

from penstock.components.engines.fold import Engine, Result, Shard
from penstock.core.errors import WorkerLost

_FORK = multiprocessing.get_context("fork")
# How many shards per worker may be begun before the first of them is merged, so that a slow one blocks no worker.
_AHEAD = 4


class LocalEngine(Engine):
    """Forks a worker per core for every `map` or `fold`. Workers hand over results as files, so none waits in memory.

    TensorFlow does not survive a fork once it has run something. So the engine forks one process when it is opened,
    which never runs TensorFlow and from which all workers are forked later. The caller is free to run TensorFlow. A
    single shard is computed in the calling process, and so are all shards if there is only one worker.

    While it is open, the garbage collector leaves alone what was there before, in the caller and in the workers: to
    look through all that imports have made takes half the time of loading a model, and copies memory that forks share.
    """

    def __init__(self, workers: int | None = None):
        self._workers = workers or _cores()
        self._connection: Connection | None = None
        self._source: BaseProcess | None = None
        self._freezes = False

    def __enter__(self) -> Self:
        self._freezes = gc.get_freeze_count() == 0  # else whoever has frozen it also ends that
        if self._freezes:
            gc.freeze()
        try:
            if self._workers > 1:
                self._fork()
        except BaseException:
            self._unfreeze()
            raise
        return self

    def _fork(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="penstock-engine-")
        self._connection, far_end = _FORK.Pipe()
        self._source = _FORK.Process(
            target=_serve, args=(far_end, self._connection, self._workers, Path(self._folder)), name="engine"
        )
        self._source.start()
        far_end.close()

    def __exit__(self, *exception: object) -> None:
        try:
            if self._connection and self._source:
                self._connection.close()
                self._source.join(timeout=5)
                if self._source.is_alive():
                    self._source.terminate()
                shutil.rmtree(self._folder, ignore_errors=True)
        finally:
            self._unfreeze()

    def _unfreeze(self) -> None:
        if self._freezes:
            gc.unfreeze()

    def results(self, function: Callable[[Shard], Result], shards: Iterable[Shard]) -> Generator[Result]:
        shards = list(shards)
        if len(shards) < 2:
            yield from map(function, shards)
            return
        if self._connection is None:
            for shard in shards:  # pickled as with several workers, so that the results are the same
                yield pickle.loads(pickle.dumps(function(shard), pickle.HIGHEST_PROTOCOL))
            return
        self._send((function, shards))
        while (path := self._receive()) is not None:
            wants_more = False
            try:
                yield _read(path)
                wants_more = True
            finally:
                self._send(wants_more)

    def _send(self, message: object) -> None:
        assert self._connection is not None
        content = pickle.dumps(message)
        try:
            self._connection.send_bytes(content)
        except BrokenPipeError:
            raise _lost() from None

    def _receive(self) -> Path | None:
        """Returns the file of the next result, None after the last one; raises the error of a shard."""
        assert self._connection is not None
        try:
            content = self._connection.recv_bytes()
        except (EOFError, ConnectionResetError):
            raise _lost() from None
        path, error = pickle.loads(content)
        if error is not None:
            raise error
        return path  # type: ignore[no-any-return]


def _lost() -> WorkerLost:
    return WorkerLost("the local engine's processes were killed, most likely for memory: use smaller shards")


def _read(path: Path) -> Any:
    """Returns a pickled result, and removes its file."""
    with open(path, "rb") as file:
        result = pickle.load(file)
    path.unlink()
    return result


def _cores() -> int:
    """Returns the number of cores that this process may use; of all cores where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(connection: Connection, callers_end: Connection, workers: int, folder: Path) -> None:
    """Answers the caller's requests until the caller ends."""
    callers_end.close()  # or this process would not notice the end of the caller
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends, then this loop does
    try:
        while True:
            with closing(_paths(connection.recv_bytes(), workers, folder)) as paths:
                _answer(connection, paths)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answer(connection: Connection, paths: Iterator[Path]) -> None:
    """Sends each result's file once the caller has merged the one before; at the end None, or the error."""
    wants_more = True
    while wants_more:
        path, error = None, None
        try:
            path = next(paths, None)
        except Exception as raised:
            error = raised
        try:
            content = pickle.dumps((path, error))
        except (pickle.PicklingError, TypeError, AttributeError) as unpicklable:
            content = pickle.dumps((None, RuntimeError(f"{unpicklable}: {error!r}")))
        connection.send_bytes(content)
        wants_more = path is not None and pickle.loads(connection.recv_bytes())


def _paths(request: bytes, workers: int, folder: Path) -> Generator[Path]:
    """Yields the files of a request's results, in the shards' order."""
    function, shards = pickle.loads(request)
    with tempfile.TemporaryDirectory(dir=folder) as results:
        yield from _in_order(partial(_to_file, function, Path(results)), list(enumerate(shards)), workers)


def _to_file(function: Callable[[Any], Any], folder: Path, numbered: tuple[int, Any]) -> Path:
    number, shard = numbered
    path = folder / str(number)
    with open(path, "wb") as file:
        pickle.dump(function(shard), file, pickle.HIGHEST_PROTOCOL)
    return path


type _Compute = Callable[[tuple[int, Any]], Path]


def _in_order(compute: _Compute, shards: Iterable[tuple[int, Any]], workers: int) -> Iterator[Path]:
    left = deque(shards)
    while left:
        begun = deque[tuple[tuple[int, Any], Future[Path]]]()
        with ProcessPoolExecutor(min(workers, len(left)), mp_context=_FORK) as pool:
            try:
                while left or begun:
                    while left and len(begun) < _AHEAD * workers:
                        begun.append((left[0], pool.submit(compute, left[0])))
                        left.popleft()
                    path = begun[0][1].result()
                    begun.popleft()
                    yield path
            except BrokenProcessPool:
                pass  # one lost worker breaks the whole pool: the shards begun are tried below, the others in a new one
            except BaseException:
                pool.shutdown(cancel_futures=True)  # waits for the shards that are computed: nothing writes any more
                raise
        for shard, future in begun:
            try:
                path = future.result()
            except BrokenProcessPool:
                path = _retry(compute, shard)
            yield path


def _retry(compute: _Compute, shard: tuple[int, Any]) -> Path:
    """Computes one shard alone in a process of its own: less memory is in use, and only this shard can fail."""
    with ProcessPoolExecutor(1, mp_context=_FORK) as pool:
        try:
            return pool.submit(compute, shard).result()
        except BrokenProcessPool:
            raise WorkerLost(
                f"the worker for one shard was killed twice, most likely for memory: {shard[1]!r:.300}"
            ) from None

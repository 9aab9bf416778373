"""How workers on other machines hand results over: as files in a folder that both they and the caller see.

    <folder of an artifact>/.engine.<process>.tmp/
    ├── mark               what a worker looks for before it computes: is this the caller's folder?
    └── 3/                 of one call of `results`
        ├── 0, 1, 2 …      a shard's result or error, pickled; read in order, and removed once it is read
        └── writing/       what workers write, until it is whole and renamed into its place

Data goes through storage anyway, so an engine needs nothing else to carry results of any size, and the caller has one
of them in memory. A call ends by renaming its folder, which is one step: from then on nothing of it becomes a file, so a
worker that is lost, duplicated or late, and ends after the call, changes nothing.
"""

import contextlib
import os
import pickle
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import cloudpickle

from penstock.components.engines.fold import Result, Shard
from penstock.core.errors import ConfigError, SystemFailure, WorkerLost
from penstock.core.files import atomic, temporary

# Variables that change what TensorFlow computes, or what it prints: workers take over the caller's.
_VARIABLES = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS", "TF_USE_LEGACY_KERAS")
_MARK = "mark"
_WRITING = "writing"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25  # seconds between two looks for a file
_LATE = 90.0  # seconds that a file may be there before a mounted file system shows it; NFS remembers names for 60
UNSEEN = "engine: the worker on "  # how the sentences begin that a worker says, for engines that pass on errors as text


@dataclass(frozen=True)
class Work:
    """What a worker does with a shard. Picklable with the standard library alone."""

    folder: Path  # of the call
    token: str
    function: bytes  # by cloudpickle
    version: str
    environment: dict[str, str]
    search_path: tuple[str, ...]

    def __call__(self, numbered: tuple[int, bytes]) -> str:
        """Computes a shard and writes its result, or its error; returns "", or why this worker cannot.

        What is there already is not computed again: another worker was faster.
        """
        number, shard = numbered
        result = self.folder / str(number)
        if problem := self._problem():
            return problem
        if result.exists():
            return ""
        outcome = self._outcome(shard)
        if not self._sees():  # the call has ended meanwhile: nobody waits
            return ""
        with temporary.kept_in(self.folder / _WRITING):
            atomic.write_bytes(result, outcome)
        return ""

    def _problem(self) -> str:
        where = f"{UNSEEN}{socket.gethostname()}"
        if not self._sees():
            return (
                f"{where} does not see {self.folder.parent.parent}: expected a folder of storage that all workers and "
                "this task have at the same path, such as a mounted bucket or volume: set pipeline_root to one"
            )
        version = metadata.version("penstock")
        if version != self.version:
            return f"{where} has penstock {version}: expected {self.version}, as this task has: use one image for both"
        return ""

    def _sees(self) -> bool:
        try:
            return (self.folder.parent / _MARK).read_text() == self.token and (self.folder / _WRITING).is_dir()
        except OSError:
            return False

    def _outcome(self, shard: bytes) -> bytes:
        """Returns the pickled pair of the result and None, or of None and the error."""
        for name, value in self.environment.items():
            os.environ.setdefault(name, value)
        for folder in self.search_path:
            if folder not in sys.path:
                sys.path.append(folder)
        try:
            function, argument = cloudpickle.loads(self.function), pickle.loads(shard)
            with temporary.kept_in(self.folder / _WRITING):
                return pickle.dumps((function(argument), None), pickle.HIGHEST_PROTOCOL)
        except (Exception, SystemExit) as error:
            return _pickled(error)


def _pickled(error: BaseException) -> bytes:
    try:
        content = pickle.dumps((None, error), pickle.HIGHEST_PROTOCOL)
        pickle.loads(content)  # some errors of libraries only look as if they could be
    except Exception:
        content = pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    return content


@dataclass
class Handover:
    """The folder below that of an artifact. A context manager: leaving it removes the folder."""

    folder: Path  # of the artifact
    _own: Path = field(init=False)
    _token: str = field(init=False)
    _calls: int = field(default=0, init=False)

    def __enter__(self) -> "Handover":
        self._own = temporary.beside(self.folder.absolute() / "engine")
        shutil.rmtree(self._own, ignore_errors=True)
        self._own.mkdir(parents=True)
        self._token = uuid.uuid4().hex
        (self._own / _MARK).write_text(self._token)
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self._own, ignore_errors=True)

    @contextlib.contextmanager
    def call(self, function: Callable[[Shard], Result]) -> Iterator["Call"]:
        """Yields a call of a function over shards. Once it has ended, no worker changes a file any more."""
        self._calls += 1
        folder = self._own / str(self._calls)
        (folder / _WRITING).mkdir(parents=True)
        environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
        pickled = cloudpickle.dumps(function)
        search_path = tuple(os.path.abspath(part) for part in sys.path if part and "site-packages" not in part)
        work = Work(folder, self._token, pickled, metadata.version("penstock"), environment, search_path)
        try:
            yield Call(work)
        finally:
            _end(folder)


def _end(folder: Path) -> None:
    """Ends a call: what its workers write from now on is lost, whatever they do."""
    ended = folder.with_name(f"{folder.name}-ended")
    with contextlib.suppress(OSError):  # a mounted bucket may rename no folders: there the files go one by one
        folder.rename(ended)
    for left in (ended, folder):
        shutil.rmtree(left, ignore_errors=True)


@dataclass(frozen=True)
class Call:
    """A call of `results`: what the workers do, and what came of it."""

    work: Work

    def results(self, count: int, job: Future[str]) -> Generator[Any]:
        """Yields the results of `count` shards in order, each as soon as it is there. `job` is what computes them.

        Its own result is "", or what a worker had to say. Raises a shard's error when it is the shard's turn, what the
        job raised, a ConfigError for what a worker said, or WorkerLost for a result that nobody has written.
        """
        for number in range(count):
            path = self.work.folder / str(number)
            self._await(path, job)
            with open(path, "rb") as file:
                result, error = pickle.load(file)
            path.unlink()
            if error is not None:
                raise error
            yield result
            del result

    def _await(self, path: Path, job: Future[str]) -> None:
        pause, late = _FIRST_PAUSE, 0.0
        while not path.exists():
            if job.done():
                if job.cancelled():
                    raise SystemFailure("engine: the computation was cancelled")
                if problem := job.result():
                    raise ConfigError(problem)
                if late > _LATE:
                    raise WorkerLost(f"engine: {path} is missing, though its worker has written it: run again")
                late += pause
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

"""How workers on other machines hand results over: as files in a folder that both they and the caller see.

    <folder of an artifact>/.engine.<process>.tmp/
    ├── mark               what a worker looks for before it computes: is this the caller's folder?
    └── 3/                 of one call of `results`
        ├── 0, 1, 2 …      a shard's result or error, pickled; read in order, and removed once it is read
        └── writing/       what workers write, until it is whole and renamed into its place

Data goes through storage anyway, so an engine needs nothing else to carry results of any size, and the caller has one
of them in memory. A call ends by renaming its folder, which is one step: from then on nothing of it becomes a file. So
a worker that is lost, duplicated or late, and ends after the call, changes nothing.
"""

import contextlib
import os
import pickle
import shutil
import socket
import sys
import time
import uuid
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Self

import cloudpickle

from penstock.components.engines import lacking
from penstock.components.engines.fold import Engine, Result, Shard
from penstock.core.errors import ConfigError, WorkerLost
from penstock.core.files import atomic, temporary

# Variables that change what TensorFlow computes, or what it prints: workers take over the caller's.
_VARIABLES = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS", "TF_USE_LEGACY_KERAS")
# Those that say where services are: workers ask the same ones. Credentials are no caller's to hand over.
_ADDRESSES = (
    *("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION"),
    *("BIGQUERY_EMULATOR_HOST", "BIGQUERY_STORAGE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"),
)
_MARK = "mark"
_WRITING = "writing"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25  # seconds between two looks for a file
_LATE = 90.0  # seconds that a file may be there before a mounted file system shows it; NFS remembers names for 60
_INTERPRETER = (sys.prefix, sys.base_prefix)
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
        result = self.result(number)
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

    def result(self, number: int) -> Path:
        """The file of a shard's result, until the caller has taken it."""
        return self.folder / str(number)

    def _problem(self) -> str:
        where = f"{UNSEEN}{socket.gethostname()}"
        if not self._sees():
            return f"{where} does not see {self.folder.parent.parent}: {lacking.STORAGE}, and set pipeline_root to it"
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
        """Returns what it gives, pickled: the result and None, or None and the error; and files that are not there."""
        os.environ.update(self.environment)
        sys.path[:0] = [folder for folder in self.search_path if folder not in sys.path]
        try:
            function, argument = cloudpickle.loads(self.function), pickle.loads(shard)
            with temporary.kept_in(self.folder / _WRITING):
                return pickle.dumps((function(argument), None, []), pickle.HIGHEST_PROTOCOL)
        except (Exception, SystemExit) as error:
            return _pickled(error)


def _pickled(error: BaseException) -> bytes:
    missing = lacking.files(error)
    try:
        content = pickle.dumps((None, error, missing), pickle.HIGHEST_PROTOCOL)
        pickle.loads(content)  # some errors of libraries only look as if they could be
    except Exception:
        content = pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}"), missing))
    return content


class HandoverEngine(Engine):
    """An engine whose workers hand results over as files, in a folder below `place`, the folder of an artifact.

    Leaving it removes that folder. A single shard is computed in this process. `variables_by` is how a person gives
    workers an environment variable.
    """

    variables_by: ClassVar[str]

    def __init__(self, place: Path):
        self._place = place.absolute()
        self._calls = 0
        self.taken = 0  # how many results of the call the caller has

    def __enter__(self) -> Self:
        self._own = temporary.beside(self._place / "engine")
        shutil.rmtree(self._own, ignore_errors=True)
        self._own.mkdir(parents=True)
        self._token = uuid.uuid4().hex
        (self._own / _MARK).write_text(self._token)
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self._own, ignore_errors=True)

    @abstractmethod
    def job(self, work: "Work", shards: Sequence[bytes]) -> AbstractContextManager[Future[str]]:
        """Has workers call `work` with each of `enumerate(shards)`, beside this thread; leaving it cancels the rest.

        The result is "", or what a worker returned instead.
        """

    def folder(self) -> AbstractContextManager[Path]:
        return temporary.folder(self._own)

    def results(self, function: Callable[[Shard], Result], shards: Iterable[Shard]) -> Generator[Result]:
        pickled = [pickle.dumps(shard, pickle.HIGHEST_PROTOCOL) for shard in shards]
        if len(pickled) < 2:
            yield from (function(pickle.loads(shard)) for shard in pickled)
            return
        with self._call(function) as work, self.job(work, pickled) as job:
            self.taken = 0
            for result, error, missing in _outcomes(work, len(pickled), job):
                self.taken += 1
                if error is not None:
                    raise lacking.explained(error, missing, self.variables_by)
                yield result
                del result

    @contextlib.contextmanager
    def _call(self, function: Callable[[Shard], Result]) -> Iterator["Work"]:
        """Yields what the workers do. Once the call has ended, none of them changes a file any more."""
        self._calls += 1
        folder = self._own / str(self._calls)
        (folder / _WRITING).mkdir(parents=True)
        try:
            yield Work(
                folder,
                self._token,
                cloudpickle.dumps(function),
                metadata.version("penstock"),
                {name: os.environ[name] for name in (*_VARIABLES, *_ADDRESSES) if name in os.environ},
                tuple(part for part in sys.path if os.path.isdir(part) and not part.startswith(_INTERPRETER)),
            )
        finally:
            _end(folder)


def _end(folder: Path) -> None:
    """Ends a call: what its workers write from now on is lost, whatever they do."""
    ended = folder.with_name(f"{folder.name}-ended")
    with contextlib.suppress(OSError):  # a mounted bucket may rename no folders: there the files go one by one
        folder.rename(ended)
    for left in (ended, folder):
        shutil.rmtree(left, ignore_errors=True)


def _outcomes(work: Work, count: int, job: Future[str]) -> Generator[tuple[Any, BaseException | None, list[str]]]:
    """Yields what came of `count` shards in order, each as soon as it is there: as `Work` gives it.

    Raises what the job raised, a ConfigError for what a worker said, or WorkerLost for what nobody has written.
    """
    for number in range(count):
        path = work.result(number)
        _await(path, job)
        with open(path, "rb") as file:
            outcome = pickle.load(file)
        path.unlink()
        yield outcome
        del outcome


def _await(path: Path, job: Future[str]) -> None:
    pause, late = _FIRST_PAUSE, 0.0
    while not path.exists():
        if job.done():
            if problem := job.result():
                raise ConfigError(problem)
            if late > _LATE:
                raise WorkerLost(f"engine: {path} is missing, though its worker has written it: run again")
            late += pause
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)

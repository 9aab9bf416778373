"""Starts a job and follows it to its end; cancels it if the task that waits is ended."""

import contextlib
import dataclasses
import json
import logging
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from penstock.core.credentials import masks
from penstock.core.errors import ModuleError, PenstockError, SystemFailure, UserError
from penstock.core.files import atomic
from penstock.core.services.retries import Unanswered

INTERVAL = 10.0  # seconds between two looks at the job
LOST_POLLS = 60  # looks in a row without an answer, after which the task gives up, and the job goes on
TOLD = "told"  # the folder in which workers say how it went: the chief in RESULT, one that failed in its own file
RESULT = "result.json"
FAILURE = ".failure.json"
type Metadata = dict[str, dict[str, Any]]  # of a task's outputs, by their names
logger = logging.getLogger(__name__)


class Terminated(SystemFailure):
    """The task was ended from outside (SIGTERM), and its job with it."""

    exit_code = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Failure:
    """What a worker says of its failure: it is `worker`, as chief-0, and `time` is when it failed, in Unix seconds."""

    worker: str
    exit_code: int
    message: str
    details: str
    time: float

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `write` has written, in a folder that all workers see."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, folder: Path) -> None:
        """Writes the worker's own file, whole or not at all, since the task that waits may be reading, and masked."""
        text = json.dumps(masks.masked_value(dataclasses.asdict(self)))
        atomic.write_text(folder / f"{self.worker}{FAILURE}", text)


@dataclass(frozen=True)
class Status:
    """How a job stands: the service's word for it, and, once it has ended, how and why."""

    state: str
    ended: bool = False
    succeeded: bool = False
    error: str = ""


class Jobs(Protocol):
    """A service that runs jobs."""

    def find(self, name: str) -> str | None:
        """Returns the id of the job of that name that is under way or has succeeded; None if there is none."""

    def start(self, name: str, argument: str) -> str:
        """Starts a job whose workers get `argument`, once; returns its id."""

    def status(self, job: str) -> Status:
        """Returns how a job stands. It asks once: who follows the job decides how long to wait for an answer."""

    def cancel(self, job: str) -> None:
        """Ends a job; nothing happens to one that has ended."""


def follow(jobs: Jobs, name: str, prepare: Callable[[], dict[str, Any]], seen: Path) -> Metadata:
    """Waits for the success of the job `name`, which is started with the arguments of `prepare` if there is none.

    `seen` is a folder that the workers see. Returns what the chief said of the outputs. Raises what a worker failed of:
    a UserError is one here as well. So is a chief that ended without a word, whatever its exit code.
    """
    reports = seen / TOLD

    def argument() -> str:
        arguments = prepare()
        shutil.rmtree(reports, ignore_errors=True)
        return json.dumps({**arguments, TOLD: str(reports)}, sort_keys=True)

    job, status = end_of(jobs, name, argument)
    if not status.succeeded:
        raise _failure(reports, f"{job} ended as {status.state}: {status.error or 'see its log'}")
    try:
        metadata: Metadata = json.loads((reports / RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _without_result(f"{job} ended as {status.state}", seen) from None
    return metadata


def end_of(jobs: Jobs, name: str, argument: Callable[[], str]) -> tuple[str, Status]:
    """Waits for the end of the job `name`, which is started with `argument` if there is none; returns its id, too."""
    with _terminable():
        try:
            job = jobs.find(name)
            if job is None:
                job = jobs.start(name, argument())
                logger.info("started %s", job)
            else:
                logger.info("%s goes on: an earlier attempt of this task has started it", job)
            return job, _wait(jobs, job)
        except (Terminated, KeyboardInterrupt):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one request is left to be made
            job = jobs.find(name)
            if job is not None:
                jobs.cancel(job)
                logger.info("cancelled %s", job)
            raise


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Makes an exception of SIGTERM, which is how Kubernetes and Vertex AI end a task."""

    def end(*_: object) -> None:
        raise Terminated("the task was ended, and its workers with it")

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait(jobs: Jobs, job: str) -> Status:
    shown, lost = "", 0
    while True:
        try:
            status = jobs.status(job)
            lost = 0
        except Unanswered as error:
            lost += 1
            if lost == LOST_POLLS:
                raise
            if lost == 1:
                logger.warning("%s: waiting for an answer", error.what)
            time.sleep(INTERVAL)
            continue
        if status.state != shown:
            logger.info("%s: %s", job, status.state)
            shown = status.state
        if status.ended:
            return status
        time.sleep(INTERVAL)


def _without_result(ending: str, seen: Path) -> PenstockError:
    if seen.is_dir():
        return ModuleError(
            f"{ending}, but its chief has ended before it said what it wrote: something in it calls os._exit, most "
            "likely the module: raise an error there instead"
        )
    return SystemFailure(f"{ending}, but an earlier attempt of this task has removed its outputs: run again")


def _failure(folder: Path, sentence: str) -> PenstockError:
    """Returns what a worker says of its failure, else what the service does.

    One worker's failure ends the others, which then complain of a lost connection: a user's mistake is told first.
    """
    failures = [Failure.read(path) for path in sorted(folder.glob(f"*{FAILURE}"))]
    if not failures:
        return SystemFailure(sentence)
    first = min(failures, key=lambda failure: (failure.exit_code != UserError.exit_code, failure.time))
    kind = UserError if first.exit_code == UserError.exit_code else SystemFailure
    return kind(f"worker {first.worker}: {first.message}", first.details)

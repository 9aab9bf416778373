"""Follows a run on a server until it ends: a line for each change of a task's state. It knows no server: it polls."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from penstock.components.answers import NotFound, Unanswered
from penstock.components.errors import NoServer, PenstockError, SystemFailure

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
# Polls in a row without an answer. A laptop that was closed finds its network again in that time.
LOST_POLLS = 10
# What KFP's compiler calls conditions, loops and their passes, and exit handlers.
_GROUP = re.compile(r"^(condition(-branches)?|for-loop|exit-handler)-[0-9]+(\(.*\))?$")


class Unwatched(SystemFailure):
    """The run goes on, but nobody can say how it stands: neither its success nor its failure."""

    exit_code = 3


@dataclass(frozen=True)
class Task:
    """A task of a run: `id` is its own, also where a loop runs several of one name; `state` is KFP's."""

    id: str
    name: str
    state: str
    seconds: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A run at a moment."""

    state: str
    tasks: tuple[Task, ...] = ()
    error: str = ""

    @property
    def succeeded(self) -> bool:
        return self.state == "SUCCEEDED"


def watch(
    poll: Callable[[], Snapshot],
    tell: Callable[[str], None],
    warn: Callable[[str], None],
    *,
    known: bool = False,
    interval: float = 5.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Snapshot:
    """Polls every `interval` seconds and tells each task's change of state; returns the run as it ended.

    A server that is away for a while, which is told once, is waited for; after LOST_POLLS without an answer it is given
    up. Whatever ends the watching of a run that is there (`known`, or once it was seen) is raised as Unwatched.
    """
    shown: dict[str, str] = {}
    lost = 0
    while True:
        try:
            snapshot = poll()
            known, lost = True, 0
        except PenstockError as error:
            lost += 1
            passing = isinstance(error, Unanswered) or (known and isinstance(error, NoServer))
            if not passing or lost == LOST_POLLS:
                if not known or isinstance(error, NotFound):  # a wrong address, no sign-in, no such run
                    raise
                raise Unwatched(f"the run goes on, but watching it failed: {_what(error)}") from None
            if lost == 1:
                warn(f"{_what(error)}: waiting for an answer")
            sleep(interval)
            continue
        for task in snapshot.tasks:
            if shown.get(task.id) != task.state:
                shown[task.id] = task.state
                tell(_line(task))
        if snapshot.state in ENDED:
            return snapshot
        sleep(interval)


def outcome(snapshot: Snapshot) -> str:
    """Returns how the run ended, in one line: for a failure the tasks that failed and what they said."""
    if snapshot.succeeded:
        return "succeeded"
    # Of a run that was cancelled, the tasks that were ended count as failed: they are not why.
    failed = [task for task in snapshot.tasks if task.state == "FAILED" and snapshot.state != "CANCELED"]
    inner = [task for task in failed if not _GROUP.match(task.name)]  # what failed around them says no more
    failed = [task for task in inner if task.error] or inner or failed
    if failed:
        told = "; ".join(f"{task.name}: {task.error or 'no reason given, see its log'}" for task in failed)
        return f"the run ended {snapshot.state.lower()}: {told}"
    return f"the run ended {snapshot.state.lower()}" + (f": {snapshot.error}" if snapshot.error else "")


def _what(error: PenstockError) -> str:
    """Returns what happened. That one should try again would be read as starting a second run."""
    return error.what if isinstance(error, Unanswered) else error.message


def _line(task: Task) -> str:
    seconds = "" if task.seconds is None else f"{task.seconds:8.1f} s"
    return f"{task.name:24} {task.state.lower():10}{seconds}".rstrip()

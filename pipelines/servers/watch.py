"""Follows a run on a server until it ends: a line for each change of a task's state. It knows no server: it polls."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from penstock.core.errors import NoServer, PenstockError, SystemFailure
from penstock.core.services.retries import NotFound, Unanswered

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
# Polls in a row without an answer. A laptop that was closed finds its network again in that time.
LOST_POLLS = 10
# Polls after a run's end for the last states of its tasks.
LATE_POLLS = 5
# Causes that are told of a run that failed: a loop may fail in each of its passes.
_MOST_CAUSES = 10
# What KFP's compiler calls conditions, loops and their passes, and exit handlers.
GROUP = re.compile(r"^(condition(-branches)?|for-loop|exit-handler)-[0-9]+(\(.*\))?$")


class Unwatched(SystemFailure):
    """The run goes on, but nobody can say how it stands: neither its success nor its failure."""

    exit_code = 3


@dataclass(frozen=True)
class Task:
    """A task of a run: `id` is its own, also where a loop runs several of one name; `state` is KFP's.

    `error` is why it failed, in one sentence, and `details` are lines to stand below it; `attempt` counts its tries.
    """

    id: str
    name: str
    state: str
    seconds: float | None = None
    error: str = ""
    details: str = ""
    attempt: int = 1


@dataclass(frozen=True)
class Snapshot:
    """A run at a moment. `late` says that its tasks' states are older than its own."""

    state: str
    tasks: tuple[Task, ...] = ()
    error: str = ""
    late: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether the run has ended, and well."""
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
    A run that has ended is asked for LATE_POLLS times more while its tasks' states are older than that.
    """
    shown: dict[str, tuple[str, int]] = {}
    lost = late = 0
    ended: Snapshot | None = None
    while True:
        try:
            snapshot = poll()
            known, lost = True, 0
        except PenstockError as error:
            if ended:
                return ended
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
        ended = snapshot if snapshot.state in ENDED else None
        late += 1 if ended and ended.late else 0
        waiting = ended is not None and ended.late and late <= LATE_POLLS
        for task in snapshot.tasks:
            # What seems to be left out may only be late.
            if shown.get(task.id) != (task.state, task.attempt) and not (waiting and task.state == "SKIPPED"):
                shown[task.id] = task.state, task.attempt
                tell(_line(task))
        if ended and not waiting:
            return ended
        sleep(interval)


def outcome(snapshot: Snapshot) -> str:
    """Returns how the run ended: for a failure a line for each cause, with the tasks that failed of it."""
    ended = f"the run ended {snapshot.state.lower()}"
    if snapshot.succeeded:
        return "succeeded"
    causes = _causes(snapshot)
    if not causes:
        return ended + (f": {snapshot.error}" if snapshot.error else "")
    lines = [f"{', '.join(names)}: {cause}" for cause, names in list(causes.items())[:_MOST_CAUSES]]
    if len(causes) > _MOST_CAUSES:
        lines.append(f"and {len(causes) - _MOST_CAUSES} causes more")
    return f"{ended}: {lines[0]}" if len(lines) == 1 else "\n".join([f"{ended}:", *lines])


def _causes(snapshot: Snapshot) -> dict[str, list[str]]:
    """Returns what the tasks that failed say, and which of them do."""
    # Of a run that was cancelled, the tasks that were ended count as failed: they are not why.
    failed = [task for task in snapshot.tasks if task.state == "FAILED" and snapshot.state != "CANCELED"]
    inner = [task for task in failed if not GROUP.match(task.name)]  # what failed around them says no more
    causes: dict[str, list[str]] = {}
    for task in inner or failed:
        cause = "\n".join([task.error or "no reason given, see its log", *_indented(task.details)])
        causes.setdefault(cause, []).append(task.name)
    return causes


def _indented(details: str) -> list[str]:
    return [f"  {line}" for line in details.splitlines() if line.strip()]


def _what(error: PenstockError) -> str:
    """Returns what happened. That one should try again would be read as starting a second run."""
    return error.what if isinstance(error, Unanswered) else error.message


def _line(task: Task) -> str:
    seconds = "" if task.seconds is None else f"{task.seconds:8.1f} s"
    tried = f"  try {task.attempt}" if task.attempt > 1 else ""
    return f"{task.name:24} {task.state.lower():10}{seconds}".rstrip() + tried

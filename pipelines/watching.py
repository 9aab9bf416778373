"""Follows a run on a server until it ends: a line for each change of a task's state. It knows no server: it polls."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from penstock.components.errors import NoServer, ServerUnavailable

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
# Polls in a row without an answer. A laptop that was closed finds its network again in that time.
LOST_POLLS = 10
# What KFP's compiler calls conditions, loops and their passes, and exit handlers.
_GROUP = re.compile(r"^(condition(-branches)?|for-loop|exit-handler)-[0-9]+(\(.*\))?$")


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
    *,
    interval: float = 5.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Snapshot:
    """Polls every `interval` seconds and tells each task's change of state; returns the run as it ended.

    A server that is away for a while is waited for; after LOST_POLLS without an answer its error is raised.
    """
    shown: dict[str, str] = {}
    lost = 0
    while True:
        try:
            snapshot = poll()
            lost = 0
        except (ServerUnavailable, NoServer) as error:
            lost += 1
            if lost == LOST_POLLS or (isinstance(error, NoServer) and not shown):  # never found: a wrong address
                raise
            sleep(interval)
            continue
        for task in snapshot.tasks:
            if shown.get(task.id) != task.state:
                shown[task.id] = task.state
                tell(_line(task))
        if snapshot.state in ENDED:
            return snapshot
        shown.setdefault("", snapshot.state)  # the server has answered
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


def _line(task: Task) -> str:
    seconds = "" if task.seconds is None else f"{task.seconds:8.1f} s"
    return f"{task.name:24} {task.state.lower():10}{seconds}".rstrip()

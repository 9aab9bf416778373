"""Why a task failed: the sentence that it left, and where servers look for it."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from penstock.pipelines.servers.watch import Snapshot

LIMIT = 15.0  # seconds for one way to look, all tasks together
_LONGEST = 300


@dataclass(frozen=True)
class Cause:
    """One sentence, and lines to stand below it."""

    sentence: str
    details: str = ""


def in_file(content: bytes) -> Cause | None:
    """Reads the failure.json that a task left beside its outputs; None if it is damaged."""
    try:
        written = json.loads(content)
        return Cause(short(written["message"]), written.get("details") or "")
    except (ValueError, KeyError, TypeError):
        return None


def collected(look: Callable[[], Iterable[tuple[str, Cause]]]) -> dict[str, Cause]:
    """Returns the causes, by tasks' ids, that one way to look yields in its time.

    Whatever it fails with is no concern of who asks for a cause: there are other ways, and the run has failed anyway.
    """
    causes: dict[str, Cause] = {}

    def collect() -> None:
        with contextlib.suppress(Exception):
            for identity, cause in look():
                causes[identity] = cause

    thread = threading.Thread(target=collect, name="penstock-cause", daemon=True)
    thread.start()
    thread.join(LIMIT)
    return dict(causes)


def with_causes(snapshot: Snapshot, causes: Mapping[str, Cause]) -> Snapshot:
    """Returns a run whose failed tasks have these causes."""
    tasks = []
    for task in snapshot.tasks:
        cause = causes.get(task.id)
        tasks.append(replace(task, error=cause.sentence, details=cause.details) if cause else task)
    return replace(snapshot, tasks=tuple(tasks))


def short(text: str) -> str:
    """Returns a line. Servers' own sentences are long, and go from the outcome to its cause."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:80]} … {line[-(_LONGEST - 83) :]}"

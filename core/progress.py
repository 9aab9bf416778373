"""The progress of a task: a log line at its start, and one at its end with counts and seconds.

The local runner names a file in PENSTOCK_PROGRESS. The same facts are appended to it for the runner's display, a JSON
object per line.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping

from penstock.core.credentials import masks

ENVIRONMENT_VARIABLE = "PENSTOCK_PROGRESS"
logger = logging.getLogger(__name__)


class Counts(dict[str, int]):
    """Counts of a running task by their units ("rows", "files", …)."""

    def show(self, **counts: int) -> None:
        """Sets counts and displays them now, before the task ends."""
        self.update(counts)
        _append({"counts": dict(self)})


def say(sentence: str) -> None:
    """Displays how far a running task is. Each sentence replaces the one before; none is logged."""
    _append({"said": masks.masked(sentence)})


def text(counts: Mapping[str, int | float]) -> str:
    """Returns counts as text: `{"rows": 15002, "files": 1}` becomes "15,002 rows, 1 file"."""
    return ", ".join(f"{count:,} {_one(unit) if count == 1 else unit}" for unit, count in counts.items())


def _one(unit: str) -> str:
    return "anomaly" if unit == "anomalies" else unit.removesuffix("s")


@contextlib.contextmanager
def task(name: str) -> Iterator[Counts]:
    """Logs the start and the successful end of the task `name`, with the counts that the body sets.

    with progress.task("SchemaGen") as counts:
        counts["features"] = 18
    """
    started, counts = time.monotonic(), Counts()
    logger.info("%s: started", name)
    yield counts
    numbers = text(counts)
    logger.info("%s: finished in %.2f s%s", name, time.monotonic() - started, f" ({numbers})" if numbers else "")
    _append({"counts": dict(counts)})


def _append(facts: dict[str, object]) -> None:
    path = os.environ.get(ENVIRONMENT_VARIABLE)
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")

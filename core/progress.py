"""What a task says of itself: one line at its start, one at its end, with counts and seconds.

The local runner names a file in PENSTOCK_PROGRESS; the same facts go there, a JSON object a line, for its display.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping

ENVIRONMENT_VARIABLE = "PENSTOCK_PROGRESS"
logger = logging.getLogger(__name__)


class Counts(dict[str, int]):
    """Counts of a running task by their names ("rows", "files", …)."""

    def show(self, **counts: int) -> None:
        """Sets counts and shows them at once, for a task that knows them before its end."""
        self.update(counts)
        _tell({"counts": dict(self)})


def say(sentence: str) -> None:
    """Shows how far a running task is. A sentence takes the place of the one before; logging it is the caller's."""
    _tell({"said": sentence})


def text(counts: Mapping[str, int]) -> str:
    """Returns counts as they are read: "15,002 rows, 1 file"."""
    return ", ".join(f"{count:,} {_one(unit) if count == 1 else unit}" for unit, count in counts.items())


def _one(unit: str) -> str:
    return "anomaly" if unit == "anomalies" else unit.removesuffix("s")


@contextlib.contextmanager
def task(name: str) -> Iterator[Counts]:
    """Logs the start and, with the counts that the body sets, the successful end of the task `name`."""
    started, counts = time.monotonic(), Counts()
    logger.info("%s: started", name)
    yield counts
    numbers = text(counts)
    logger.info("%s: finished in %.2f s%s", name, time.monotonic() - started, f" ({numbers})" if numbers else "")
    _tell({"counts": dict(counts)})


def _tell(facts: dict[str, object]) -> None:
    path = os.environ.get(ENVIRONMENT_VARIABLE)
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")

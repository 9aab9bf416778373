"""What a person sees of a run: a line for each task, live on a terminal, and the verdicts at the end."""

import contextlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.core import progress
from penstock.core.artifacts import InfraVerdict, Verdict
from penstock.core.artifacts.gates import OVERALL, not_met
from penstock.core.text.printable import printable
from penstock.pipelines.local.processes.task import PROGRESS_FILE
from penstock.pipelines.local.records.record import RunRecord, TaskRecord

_SHOWN_REASONS = 12
_LOOK = 0.2  # seconds between two looks at what the tasks have told
_EVERY = 10.0  # seconds at least between two lines on a task where there is no terminal
_SILENCE = 3  # times that: after so long a task that says nothing is told of
_IMPORTS = "waiting for imports"
_MARKS = {"done": "✓", "cached": "=", "failed": "✗", "skipped": "-"}


class Display:
    """Shows tasks as they run. On anything but a terminal a task is a line at its end, and now and then until then."""

    def __init__(self, width: int, every: float = _EVERY) -> None:
        self._width, self._every = width, every
        self._live = sys.stderr.isatty()
        self._lock = threading.RLock()
        self._running: dict[str, tuple[Path, float]] = {}
        self._waiting: set[str] = set()  # for the imports of what they need
        self._last_said: dict[str, tuple[str, float]] = {}  # what was said last of a task, and when
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, task: TaskRecord, folder: Path) -> None:
        """Shows a task, whose folder has what it says of itself, until it ends."""
        with self._lock:
            self._running[task.name] = (folder, time.monotonic())
            self._waiting.add(task.name)
            self._last_said[task.name] = ("", time.monotonic())
        if self._thread is None:
            self._thread = threading.Thread(target=self._tick if self._live else self._say, daemon=True)
            self._thread.start()

    def imported(self, task: TaskRecord) -> None:
        """Shows that a task has all imports that it needs, and begins."""
        with self._lock:
            self._waiting.discard(task.name)

    def stop(self, task: TaskRecord) -> None:
        """Shows a task no longer."""
        with self._lock:
            self._running.pop(task.name, None)
            self._waiting.discard(task.name)

    def end(self, task: TaskRecord) -> None:
        """Writes the last line of a task: its status, seconds and counts."""
        self.stop(task)
        seconds = "" if task.seconds is None else f"{task.seconds:7.1f} s"
        line = f"{_MARKS[task.status]} {task.name:{self._width}} {seconds:>9}  {progress.text(task.counts)}"
        self._write(printable(line).rstrip() + ("  (cached)" if task.status == "cached" else "") + "\n")

    def close(self) -> None:
        """Stops looking at the tasks. What is shown stays."""
        self._ended.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def _tick(self) -> None:
        while not self._ended.wait(_LOOK):
            columns = shutil.get_terminal_size().columns
            lines = [
                self._line(
                    name,
                    started,
                    "; ".join(filter(None, [progress.text(read_counts(folder)), self._said(name, folder)])),
                )
                for name, (folder, started) in self._now()
            ]
            if lines:
                self._write("   ".join(line.rstrip() for line in lines)[: columns - 1])
        self._write("")

    def _say(self) -> None:
        """Without a terminal: what a task says of itself, and that it still runs where it says nothing."""
        while not self._ended.wait(min(_LOOK, self._every)):
            for name, (folder, started) in self._now():
                said, (before, when) = self._said(name, folder), self._last_said[name]
                silent = time.monotonic() - when
                if (said != before and silent >= self._every) or silent >= _SILENCE * self._every:
                    self._last_said[name] = (said, time.monotonic())
                    with self._lock:
                        if name in self._running:  # its last line is not to come after that of its end
                            self._write(self._line(name, started, said).rstrip() + "\n")

    def _said(self, name: str, folder: Path) -> str:
        return str(_newest(folder, "said") or (_IMPORTS if name in self._waiting else ""))

    def _now(self) -> list[tuple[str, tuple[Path, float]]]:
        with self._lock:
            return list(self._running.items())

    def _line(self, name: str, started: float, said: str) -> str:
        return printable(f"… {name:{self._width}} {time.monotonic() - started:7.1f} s  {said}")

    def _write(self, text: str) -> None:
        with self._lock:
            sys.stderr.write(f"\r\x1b[2K{text}" if self._live else text)
            sys.stderr.flush()


def read_counts(folder: Path) -> dict[str, int | float]:
    """Returns the counts that a task has told so far."""
    counts = _newest(folder, "counts")
    if not isinstance(counts, dict):
        return {}
    return {unit: count for unit, count in counts.items() if isinstance(count, int | float)}


def _newest(folder: Path, key: str) -> Any:
    """Returns the last that a task has told under a key; None if it has told nothing."""
    try:
        lines = (folder / PROGRESS_FILE).read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        with contextlib.suppress(ValueError):  # the last line may be half-written
            facts = json.loads(line)
            if isinstance(facts, dict) and key in facts:
                return facts[key]
    return None


def skipped_lines(run: RunRecord) -> Iterator[str]:
    """Yields the tasks that did not run, and why; what the others did was shown as they ran."""
    by_reason: dict[str, list[str]] = {}
    for task in run.tasks:
        if task.status == "skipped":
            by_reason.setdefault(task.reason, []).append(task.name)
    for reason, names in by_reason.items():
        yield printable(f"skipped    {', '.join(names)}: {reason}")


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Yields the verdict on the model, and lines for thresholds: what is not met, worst first, then the others.

    Those over all examples are all there; those that slices meet are counted.
    """
    yield "model: " + ("BLESSED" if verdict["blessed"] else "NOT BLESSED")
    reasons = verdict["reasons"]
    of_all = [reason for reason in reasons if reason["passed"] and reason["slice"] == OVERALL]
    shown = not_met(reasons)[:_SHOWN_REASONS] + of_all
    for reason in shown:
        yield printable(f"  {'✓' if reason['passed'] else '✗'} {reason['sentence']}")
    rest = [reason for reason in reasons if reason not in shown]
    if rest:
        failed = sum(not reason["passed"] for reason in rest)
        yield f"    and {len(rest)} more in other slices" + (f", {failed} of them not met" if failed else ", all met")
    for note in verdict.get("notes", []):
        yield printable(f"    {note}")


def infra_verdict_lines(verdict: InfraVerdict) -> Iterator[str]:
    """Yields the verdict on the model in a model server and a line for each thing that was asked of it."""
    blessed = "BLESSED" if verdict["blessed"] else "NOT BLESSED"
    yield f"model server: {blessed if verdict['checked'] else 'NOT CHECKED'}"
    for check in verdict["checks"]:
        yield printable(f"  {'✓' if check['passed'] else '✗'} {check['sentence']}")

"""What a person sees of a run: a line for each task, live on a terminal, and a table at the end."""

import json
import shutil
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from penstock.components import progress
from penstock.pipelines.local.record import RunRecord, TaskRecord
from penstock.pipelines.local.task import PROGRESS_FILE

_SHOWN_REASONS = 12
_MARKS = {"done": "✓", "cached": "=", "failed": "✗", "skipped": "-"}


class Display:
    """Shows tasks as they run. On anything but a terminal a task is one line, at its end."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._live = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Path, float]] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, task: TaskRecord, folder: Path) -> None:
        with self._lock:
            self._running[task.name] = (folder, time.monotonic())
        if self._live and self._thread is None:
            self._thread = threading.Thread(target=self._tick, daemon=True)
            self._thread.start()

    def stop(self, task: TaskRecord) -> None:
        with self._lock:
            self._running.pop(task.name, None)

    def end(self, task: TaskRecord) -> None:
        self.stop(task)
        seconds = "" if task.seconds is None else f"{task.seconds:7.1f} s"
        line = f"{_MARKS[task.status]} {task.name:{self._width}} {seconds:>9}  {progress.text(task.counts)}"
        self._write(line.rstrip() + ("  (cached)" if task.status == "cached" else "") + "\n")

    def close(self) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def _tick(self) -> None:
        while not self._ended.wait(0.2):
            with self._lock:
                running = list(self._running.items())
            columns = shutil.get_terminal_size().columns
            lines = [
                f"… {name:{self._width}} {time.monotonic() - started:7.1f} s  {progress.text(read_counts(folder))}"
                for name, (folder, started) in running
            ]
            if lines:
                self._write("   ".join(line.rstrip() for line in lines)[: columns - 1])
        self._write("")

    def _write(self, text: str) -> None:
        with self._lock:
            sys.stderr.write(f"\r\x1b[2K{text}" if self._live else text)
            sys.stderr.flush()


def read_counts(folder: Path) -> dict[str, int]:
    """Returns the counts that a task has told so far."""
    try:
        lines = (folder / PROGRESS_FILE).read_text().splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            return dict(json.loads(line).get("counts", {}))
        except ValueError:  # the last line may be half-written
            continue
    return {}


def table(run: RunRecord) -> str:
    """Returns the run's tasks as a table: task, status, seconds, counts, why."""
    rows = [("task", "status", "seconds", "counts", "why")]
    for task in run.tasks:
        seconds = "" if task.seconds is None else f"{task.seconds:.1f}"
        rows.append((task.name, task.status, seconds, progress.text(task.counts), task.reason))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for number, (name, status, seconds, counts, why) in enumerate(rows):
        lines.append(
            f"{name:{widths[0]}}  {status:{widths[1]}}  {seconds:>{widths[2]}}  {counts:{widths[3]}}  {why}".rstrip()
        )
        if number == 0:
            lines.append("  ".join("-" * width for width in widths) + "  ---")
    return "\n".join(lines)


def blessing_lines(validation: dict[str, Any]) -> Iterable[str]:
    """Yields the verdict on the model and a line for each threshold that was not met or is over all examples."""
    yield "model: " + ("BLESSED" if validation.get("blessed") else "NOT BLESSED")
    reasons = validation.get("reasons", [])
    shown = [reason for reason in reasons if not reason["passed"] or reason["slice"] == "overall"][:_SHOWN_REASONS]
    for reason in shown:
        yield f"  {'✓' if reason['passed'] else '✗'} {reason['sentence']}"
    rest = [reason for reason in reasons if reason not in shown]
    if rest:
        failed = sum(not reason["passed"] for reason in rest)
        yield f"    and {len(rest)} more in other slices" + (f", {failed} of them not met" if failed else ", all met")

"""The tasks of a run: when each ran and for how long, what it counted, and why it ran or came from the cache."""

from pathlib import Path
from urllib.parse import quote

from penstock.core import page, progress
from penstock.core.page import numbers
from penstock.core.text import printable
from penstock.pipelines.local.processes.task import LOG_FILE
from penstock.pipelines.local.records.record import RunRecord, TaskRecord
from penstock.pipelines.local.report.cells import text

_KINDS = {"failed": "bad", "done": "good"}
_REASON = 200  # characters: `penstock explain` tells all
_LEAST = 0.4  # percent of the run's time that a bar is at least long


def html(run: RunRecord) -> str:
    """Returns a table with a row for each task, its time within the run's as a bar."""
    whole = run.seconds or max((_end(task, run) for task in run.tasks), default=0.0) or 1.0
    rows = "".join(_row(task, run, whole) for task in run.tasks)
    cached = sum(task.status == "cached" for task in run.tasks)
    sentences = f"{cached:,} of {len(run.tasks):,} tasks came from the cache. " if cached else ""
    waited = sum(task.waited for task in run.tasks)
    sentences += f"Libraries took {numbers.duration(waited)} to import (the light bars)." if waited >= 1 else ""
    header = '<th>task</th><th>status</th><th class="number">time</th><th class="roomy">when</th>'
    header += "<th>counts</th><th>why</th><th></th>"
    return f'<p class="muted">{sentences}</p>{page.table(rows, header)}'


def _row(task: TaskRecord, run: RunRecord, whole: float) -> str:
    log = _log(run.folder, task)
    return (
        f'<tr><td class="name">{text(task.name)}</td><td class="{_KINDS.get(task.status, "muted")}">{task.status}</td>'
        f'<td class="number">{numbers.duration(task.seconds)}</td><td class="roomy">{_bar(task, run, whole)}</td>'
        f'<td class="name">{text(progress.text(task.counts))}</td>'
        f'<td class="muted long">{text(printable.shortened(task.reason, _REASON))}</td><td>{log}</td></tr>'
    )


def _log(folder: Path, task: TaskRecord) -> str:
    return f'<a href="{quote(task.name)}/{LOG_FILE}">log</a>' if (folder / task.name / LOG_FILE).exists() else ""


def _begin(task: TaskRecord, run: RunRecord) -> float:
    """Returns after how many seconds of the run a task began; 0 where the record does not say."""
    return max((task.started or run.started) - run.started, 0.0)


def _end(task: TaskRecord, run: RunRecord) -> float:
    return _begin(task, run) + task.waited + (task.seconds or 0.0)


def _bar(task: TaskRecord, run: RunRecord, whole: float) -> str:
    """Returns a bar from a task's begin to its end; the part in which it waited is light."""
    if task.seconds is None:
        return ""
    begin, waited, took = (100 * part / whole for part in (_begin(task, run), task.waited, task.seconds))
    begin = min(begin, 100 - _LEAST)
    waited = min(waited, 100 - _LEAST - begin)
    took = min(max(took, _LEAST), 100 - begin - waited)
    kind = "bar cached" if task.status == "cached" else "bar"
    return (
        f'<div class="time"><div class="bar waited" style="margin-left:{begin:.1f}%;width:{waited:.1f}%"></div>'
        f'<div class="{kind}" style="width:{took:.1f}%"></div></div>'
    )

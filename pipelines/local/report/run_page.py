"""The report of a run, `<run>/report.html`: one page that needs nothing but a browser."""

import html
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from penstock.core import page, progress
from penstock.core.artifacts import Check, InfraVerdict, Reason, Verdict
from penstock.core.credentials import masks
from penstock.core.text import printable
from penstock.pipelines.local.processes.task import LOG_FILE
from penstock.pipelines.local.records.record import Artifact, RunRecord, TaskRecord
from penstock.pipelines.local.report import epochs, warnings

_ANOMALIES = "anomalies"  # as the ExampleValidator counts them
_BLESSING = "blessing"  # the output of a gate
_PROPERTY = 160  # characters of a property of an artifact
# How a page that a task has written begins: KFP gives artifacts no file ending, so a browser shows a link's text.
_PAGE = b"<!doctype html"
# No script of a page runs; ours makes its frame as high as it is, also unfolded, or in a window of another width.
_FRAME = (
    'sandbox="allow-same-origin" onload="new ResizeObserver(() => { const high = contentDocument.body.scrollHeight; '
    'if (high) style.height = `${high + 2}px` }).observe(contentDocument.body)"'
)


def write(run: RunRecord) -> None:
    """Writes the page into the run's folder, also while the run goes on."""
    started = time.strftime("%d %B %Y, %H:%M:%S", time.localtime(run.started))
    place = f" · in {_text(run.image)}" if run.image else ""
    facts = f"{_text(run.folder.name)} · started {started} · {run.seconds or 0:.1f} s · {run.status}{place}"
    parts = [
        f"<h1>{_text(run.name)}</h1>",
        f'<p class="muted">{facts}</p>',
        *(f"<p>Spans read by {_text(task)}: {_text(spans)}</p>" for task, spans in run.spans()),
        _failures(run),
        *map(_verdict, run.verdicts()),
        *map(_infra_verdict, run.infra_verdicts()),
        _warnings(run),
        *(epochs.section(artifact.path) for artifact in run.artifacts() if artifact.name == "model_run"),
        _pages(run),
        "<h2>Tasks</h2>",
        _tasks(run),
        "<h2>Artifacts</h2>",
        _artifacts(run),
        "<h2>Parameters</h2>",
        _parameters(run.arguments),
    ]
    page.write(run.folder / page.FILE, run.folder.name, "\n".join(parts))


def _failures(run: RunRecord) -> str:
    return "".join(
        f'<h2 class="bad">{_text(task.name)} failed</h2><p>{_text(task.failure["message"])}</p>'
        f"<pre>{_text(task.failure['details'])}</pre>"
        for task in run.tasks
        if task.failure
    )


def _verdict(verdict: Verdict) -> str:
    rows = "".join(
        f'{_passed(reason)}<td class="name">{_text(reason["metric"])}</td><td>{_text(reason["slice"])}</td>'
        f'<td class="number">{_value(reason["value"])}</td><td class="long">{_text(reason["sentence"])}</td></tr>'
        for reason in verdict["reasons"]
    )
    header = '<th></th><th>metric</th><th>slice</th><th class="number">value</th><th>threshold</th>'
    return f"<h2>The model is {_blessed(verdict)}</h2>{page.table(rows, header)}"


def _infra_verdict(verdict: InfraVerdict) -> str:
    if not verdict["checked"]:
        sentences = "".join(f"<p>{_text(check['sentence'])}</p>" for check in verdict["checks"])
        return f"<h2>In a model server the model is not checked</h2>{sentences}"
    rows = "".join(
        f'{_passed(check)}<td class="name">{_text(check["name"])}</td><td class="number">{_value(check["value"])}</td>'
        f'<td class="number">{_value(check["limit"])}</td><td class="long">{_text(check["sentence"])}</td></tr>'
        for check in verdict["checks"]
    )
    header = '<th></th><th>check</th><th class="number">value</th><th class="number">limit</th><th>result</th>'
    return f"<h2>In a model server the model is {_blessed(verdict)}</h2>{page.table(rows, header)}"


def _blessed(verdict: Verdict | InfraVerdict) -> str:
    return '<span class="good">blessed</span>' if verdict["blessed"] else '<span class="bad">not blessed</span>'


def _passed(entry: Reason | Check) -> str:
    """Begins a row of a verdict's table."""
    return f'<tr><td class="{"good" if entry["passed"] else "bad"}">{"✓" if entry["passed"] else "✗"}</td>'


def _warnings(run: RunRecord) -> str:
    rows = "".join(
        f'<tr><td class="name">{_text(task)}</td><td class="long">{_text(sentence)}</td></tr>'
        for task, sentence in warnings.warnings(run)
    )
    return f"<h2>Warnings</h2>{page.table(rows)}" if rows else ""


def _tasks(run: RunRecord) -> str:
    longest = max((task.seconds or 0 for task in run.tasks), default=0) or 1
    rows = "".join(_task(task, run.folder, longest) for task in run.tasks)
    header = '<th>task</th><th>status</th><th class="number">seconds</th><th></th><th>counts</th><th>why</th><th></th>'
    return page.table(rows, header)


def _task(task: TaskRecord, folder: Path, longest: float) -> str:
    kind = {"failed": "bad", "done": "good"}.get(task.status, "muted")
    seconds = "" if task.seconds is None else f"{task.seconds:.2f}"
    bar = f'<div class="bar" style="width:{100 * (task.seconds or 0) / longest:.1f}px"></div>'
    counts = _text(progress.text(task.counts))
    log = folder / task.name / LOG_FILE
    link = f'<a href="{quote(task.name)}/{LOG_FILE}">log</a>' if log.exists() else ""
    return (
        f'<tr><td class="name">{_text(task.name)}</td><td class="{kind}">{task.status}</td>'
        f'<td class="number">{seconds}</td><td>{bar}</td><td class="name">{counts}</td>'
        f'<td class="muted long">{_text(task.reason)}</td><td>{link}</td></tr>'
    )


def _pages(run: RunRecord) -> str:
    """The pages that tasks have written, each in a frame of its own: what came last first, good news folded."""
    parts = []
    for artifact in run.artifacts():
        if is_page(artifact.path):
            content = artifact.path.read_text(encoding="utf-8", errors="replace")
            frame = f'<iframe srcdoc="{html.escape(content)}" {_FRAME}></iframe>'
            title = _page_title(artifact)
            fine = title != artifact.name
            summary = f'<summary id="{_anchor(artifact)}">{_text(artifact.task.name)}: {_text(title)}</summary>'
            parts.append(f"<details{'' if fine else ' open'}>{summary}{frame}</details>")
    return "<h2>Pages</h2>" + "".join(reversed(parts)) if parts else ""


def _page_title(artifact: Artifact) -> str:
    """Returns what an entry of the page is called: of one that has nothing to complain of, that."""
    if artifact.task.counts.get(_ANOMALIES) == 0:
        return f"no {_ANOMALIES}"
    blessing = artifact.task.outputs.get(_BLESSING)
    return "blessed" if blessing and blessing["metadata"].get("blessed") else artifact.name


def _artifacts(run: RunRecord) -> str:
    rows = ""
    for artifact in run.artifacts():
        task, name, path = artifact.task.name, artifact.name, artifact.path
        inside = path.is_relative_to(run.folder) and path.exists()
        where = path.relative_to(run.folder).as_posix() if inside else str(path)
        target = f"#{_anchor(artifact)}" if is_page(path) else quote(where)
        link = f'<a href="{target}">{_text(name)}</a>' if inside else f"{_text(name)} ({_text(where)})"
        metadata = masks.masked_value(artifact.metadata)
        shown = ", ".join(f"{key}: {_shown(value)}" for key, value in metadata.items() if key != "tfx_version")
        cells = (
            f'<td class="name">{_text(task)}</td><td class="long">{link}</td><td class="muted long">{_text(shown)}</td>'
        )
        rows += f"<tr>{cells}</tr>"
    return page.table(rows, "<th>task</th><th>artifact</th><th>metadata</th>")


def _shown(value: Any) -> str:
    """Returns a property of an artifact as text: short, since JSON of all columns would fill the page."""
    whole = isinstance(value, float) and value.is_integer()  # KFP makes doubles of all numbers
    return printable.shortened(str(int(value) if whole else value), _PROPERTY)


def _parameters(arguments: dict[str, Any]) -> str:
    rows = "".join(
        f'<tr><td class="name">{_text(name)}</td><td class="long"><code>{_text(value)}</code></td></tr>'
        for name, value in masks.masked_value(arguments).items()
    )
    return page.table(rows) if rows else '<p class="muted">none</p>'


def is_page(path: Path) -> bool:
    """Whether an artifact is an HTML page, by its first bytes: KFP gives its file no suffix."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(_PAGE)).lower() == _PAGE


def _anchor(artifact: Artifact) -> str:
    return quote(f"page-{artifact.task.name}-{artifact.name}")


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _text(value: Any) -> str:
    return html.escape(masks.masked(str(value)))

"""The report of a run, `<run>/report.html`: one page that needs nothing but a browser."""

import html
import json
import time
from pathlib import Path
from typing import Any

from penstock.components import storage
from penstock.pipelines.local.record import RunRecord, TaskRecord
from penstock.pipelines.local.task import LOG_FILE

FILE = "report.html"
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --faint: #8888 }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.1rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% } td, th { border-bottom: 1px solid var(--line); padding: .35rem .7rem;
text-align: left; vertical-align: top } th { font-weight: 600 } td.number { text-align: right; white-space: nowrap;
font-variant-numeric: tabular-nums }
code { font-size: .9em } .faint { color: var(--faint) } .good { color: var(--good) }
.bad { color: var(--bad) } .bar { background: #4a7ebb88; height: .6rem; border-radius: 2px; min-width: 1px }
"""


def write(run: RunRecord) -> None:
    storage.write_text(run.folder / FILE, _page(run))


def _page(run: RunRecord) -> str:
    started = time.strftime("%d %B %Y, %H:%M:%S", time.localtime(run.started))
    parts = [
        f"<h1>{_text(run.name)}</h1>",
        f'<p class="faint">{_text(run.folder.name)} · started {started} · {run.seconds or 0:.1f} s · {run.status}</p>',
        _failures(run),
        _blessing(run),
        "<h2>Tasks</h2>",
        _tasks(run),
        "<h2>Artifacts</h2>",
        _artifacts(run),
        "<h2>Parameters</h2>",
        _parameters(run.arguments),
    ]
    head = f'<meta charset="utf-8"><title>{_text(run.folder.name)}</title><style>{_STYLE}</style>'
    return f"<!doctype html>\n<html lang=en><head>{head}</head><body>\n" + "\n".join(parts) + "\n</body></html>\n"


def _failures(run: RunRecord) -> str:
    return "".join(
        f'<h2 class="bad">{_text(task.name)} failed</h2><p>{_text(task.failure.get("message", ""))}</p>'
        f"<pre>{_text(task.failure.get('details', ''))}</pre>"
        for task in run.tasks
        if task.failure
    )


def _blessing(run: RunRecord) -> str:
    evaluator = run.task("evaluator")
    path = run.folder / "evaluator" / "validation" / "validation.json"
    if evaluator is None or evaluator.status not in ("done", "cached") or not path.exists():
        return ""
    validation = json.loads(path.read_text())
    verdict = '<span class="good">blessed</span>' if validation["blessed"] else '<span class="bad">not blessed</span>'
    rows = "".join(
        f'<tr><td class="{"good" if reason["passed"] else "bad"}">{"✓" if reason["passed"] else "✗"}</td>'
        f"<td>{_text(reason['metric'])}</td><td>{_text(reason['slice'])}</td>"
        f'<td class="number">{_text(reason["value"])}</td><td>{_text(reason["sentence"])}</td></tr>'
        for reason in validation["reasons"]
    )
    header = "<tr><th></th><th>metric</th><th>slice</th><th>value</th><th>threshold</th></tr>"
    return f"<h2>The model is {verdict}</h2><table>{header}{rows}</table>"


def _tasks(run: RunRecord) -> str:
    longest = max((task.seconds or 0 for task in run.tasks), default=0) or 1
    rows = "".join(_task(task, run.folder, longest) for task in run.tasks)
    header = "<tr><th>task</th><th>status</th><th>seconds</th><th></th><th>counts</th><th>why</th><th></th></tr>"
    return f"<table>{header}{rows}</table>"


def _task(task: TaskRecord, folder: Path, longest: float) -> str:
    kind = {"failed": "bad", "done": "good"}.get(task.status, "faint")
    seconds = "" if task.seconds is None else f"{task.seconds:.2f}"
    bar = f'<div class="bar" style="width:{100 * (task.seconds or 0) / longest:.1f}px"></div>'
    counts = ", ".join(f"{count:,} {_text(unit)}" for unit, count in task.counts.items())
    log = folder / task.name / LOG_FILE
    link = f'<a href="{_text(task.name)}/{LOG_FILE}">log</a>' if log.exists() else ""
    return (
        f'<tr><td>{_text(task.name)}</td><td class="{kind}">{task.status}</td><td class="number">{seconds}</td>'
        f'<td>{bar}</td><td>{counts}</td><td class="faint">{_text(task.reason)}</td><td>{link}</td></tr>'
    )


def _artifacts(run: RunRecord) -> str:
    rows = []
    for task in run.tasks:
        for name, output in task.outputs.items():
            uri = Path(output["uri"])
            inside = uri.is_relative_to(run.folder) and uri.exists()
            where = uri.relative_to(run.folder).as_posix() if inside else str(uri)
            link = f'<a href="{_text(where)}">{_text(name)}</a>' if inside else f"{_text(name)} ({_text(where)})"
            shown = ", ".join(f"{key}: {value}" for key, value in output["metadata"].items() if key != "tfx_version")
            rows.append(f'<tr><td>{_text(task.name)}</td><td>{link}</td><td class="faint">{_text(shown)}</td></tr>')
    return f"<table><tr><th>task</th><th>artifact</th><th>metadata</th></tr>{''.join(rows)}</table>"


def _parameters(arguments: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{_text(name)}</td><td><code>{_text(value)}</code></td></tr>" for name, value in arguments.items()
    )
    return f"<table>{rows}</table>" if rows else '<p class="faint">none</p>'


def _text(value: Any) -> str:
    return html.escape(str(value))

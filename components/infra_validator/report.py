"""The verdict as one HTML page that needs nothing else."""

from datetime import datetime
from html import escape
from pathlib import Path

from penstock.core import page
from penstock.core.artifacts import Check, InfraVerdict
from penstock.core.page import numbers


def write(path: Path, verdict: InfraVerdict) -> Path:
    """Writes the page; returns where. A folder at `path` gets it as report.html."""
    if not verdict["checked"]:
        mark = page.mark("not checked", good=True)
    else:
        mark = page.mark("blessed" if verdict["blessed"] else "not blessed", good=verdict["blessed"])
    rows = "".join(map(_row, verdict["checks"]))
    header = '<th></th><th>check</th><th class="number">value</th><th class="number">limit</th><th>result</th>'
    log = "\n".join(verdict["log"])
    checked = numbers.date(datetime.fromisoformat(verdict["created"]))
    state = "" if verdict["blessed"] else " open"
    parts = [
        f"<h1>The model in a model server {mark}</h1>",
        f'<p class="muted">{escape(verdict["server"])} · {escape(verdict["model"])} · {checked} UTC</p>',
        page.table(rows, header),
        f"<details{state}><summary>The server's last lines</summary><pre>{escape(log)}</pre></details>" if log else "",
    ]
    return page.write(path, "Model server", "\n".join(parts), "serving")


def _row(check: Check) -> str:
    good = check["passed"]
    return (
        f'<tr><td class="{"good" if good else "bad"}">{"✓" if good else "✗"}</td>'
        f'<td class="name">{page.breakable(check["name"])}</td><td class="number">{numbers.number(check["value"])}</td>'
        f'<td class="number">{numbers.number(check["limit"])}</td>'
        f'<td class="long">{escape(check["sentence"])}</td></tr>'
    )

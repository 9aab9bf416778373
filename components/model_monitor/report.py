"""The baseline as a page: above which value each measure of each feature alerts, and why."""

from html import escape
from pathlib import Path

from penstock.components.monitoring import words
from penstock.components.monitoring.measures import dependence
from penstock.components.monitoring.measures.thresholds import FEWEST_ROWS
from penstock.core import page
from penstock.core.artifacts.monitoring import BaselineRecord, ThresholdRecord
from penstock.core.page import numbers


def write(path: Path, baseline: BaselineRecord) -> Path:
    """Writes the page; returns where. A folder at `path` gets it as report.html."""
    rows = baseline["rows"]
    lead = (
        f"Windows of requests are compared with {numbers.count(rows['train'])} rows of training, and predictions with "
        f"those for {numbers.count(rows['eval'])} rows of evaluation. If nothing changes, at most "
        f"{numbers.percentage(baseline['false_alarm_rate'])} of the windows alert, by any feature. The thresholds are "
        f"those of windows of {numbers.count(baseline['window_rows'])} rows; other sizes have others. Below "
        f"{FEWEST_ROWS} rows nothing is judged, and how features go together from {dependence.FEWEST_ROWS} rows on."
    )
    kinds = {
        one["name"]: one["kind"]
        for part in (baseline["features"], baseline["predictions"])
        for one in (part or {}).get("features", [])
    }
    importances = baseline["importance"]
    ordered = sorted(baseline["thresholds"], key=lambda one: -importances.get(one["name"], 0.0))
    lines = "".join(_row(one, kinds, importances) for one in ordered)
    importance = '<th class="number">importance</th>' if importances else ""
    header = (
        f'<th>feature</th><th>kind</th>{importance}<th>measure</th><th class="number">alerts above</th><th>why</th>'
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in baseline["notes"])
    body = (
        f'<h1>Monitoring</h1><p class="muted">{lead}</p>{f"<ul>{notes}</ul>" if notes else ""}'
        f"{page.table(lines, header, sort=True, fold=True)}"
    )
    return page.write(path, "Monitoring", body, "monitoring")


def _row(limit: ThresholdRecord, kinds: dict[str, str], importance: dict[str, float]) -> str:
    name, value = limit["name"], limit["value"]
    share = importance.get(name)
    cell = ""
    if importance:
        cell = f'<td class="number" data-value="{share or 0}">{numbers.percentage(share)}</td>'
    return (
        f'<tr><td class="name"><code>{escape(words.short(name))}</code></td><td>{kinds[name]}</td>{cell}'
        f'<td>{words.MEASURES[limit["measure"]]}</td><td class="number" data-value="{"" if value is None else value}">'
        f"{'never' if value is None else numbers.number(value)}</td><td>{escape(limit['reason'])}</td></tr>"
    )

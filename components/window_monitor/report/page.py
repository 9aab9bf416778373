"""The page of a window."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

from penstock.components.monitoring import words
from penstock.components.window_monitor.findings import Compared
from penstock.components.window_monitor.report import figures, history, performance, sections
from penstock.core import page, progress
from penstock.core.artifacts.monitoring import (
    BaselineRecord,
    Finding,
    LeftOut,
    WindowRecord,
    first_of_each,
    moved,
)
from penstock.core.page import numbers

_NEAREST = 5  # that are shown where nothing alerts


@dataclass(frozen=True)
class Page:
    """What the page shows: the window, those before it, and the rows that distributions are drawn of."""

    window: WindowRecord
    before: Sequence[WindowRecord]
    parts: Sequence[Compared]
    baseline: BaselineRecord


def write(path: Path, shown: Page) -> Path:
    """Writes the page; returns where. A folder at `path` gets it as report.html."""
    window = shown.window
    period = numbers.period(datetime.fromisoformat(window["begin"]), datetime.fromisoformat(window["end"]))
    title = f"{window['model'] or 'Requests'}, {period}"
    drawn = {performance.FIGURE, *figures.drawn(shown.parts, window["findings"])}
    body = "".join(
        [
            f"<h1>{escape(title)}</h1>",
            _lead(window),
            _moved(window["findings"], bool(shown.baseline["importance"]), drawn),
            performance.html(window, shown.before),
            figures.html(shown.parts, window["findings"]),
            history.html(window, shown.before),
            _left_out([*window["left_out"], *(window["labels"]["left_out"] if "labels" in window else [])]),
            _measures(window["findings"], drawn),
        ]
    )
    return page.write(path, title, body)


def _lead(window: WindowRecord) -> str:
    count = len(moved(window["findings"]))
    if not window["rows"]:
        verdict = page.mark("nothing measured" if window["requests"] else "no requests", good=False)
    elif count:
        verdict = page.mark(f"{numbers.count(count)} moved", good=False)
    else:
        verdict = page.mark("nothing moved", good=True)
    versions = ", ".join(map(str, window["versions"]))
    sampled = "" if window["sampled"] >= 1 else f", {numbers.percentage(window['sampled'])} of all that were asked"
    rows, requests = progress.text({"rows": window["rows"]}), progress.text({"requests": window["requests"]})
    counted = f"{rows} in {requests}{sampled}"
    answered = f"; answered by version {versions}" if versions else ""
    return f'<p>{verdict} <span class="muted">{counted}{answered}. Times are UTC.</span></p>' + sections.bullets(
        window["notes"]
    )


def _moved(findings: Sequence[Finding], importance: bool, drawn: Collection[str]) -> str:
    """Returns a row for each feature that alerts, with its strongest measure; where none does, those nearest to it."""
    alerting = moved(findings)
    chosen = alerting or first_of_each(findings)[:_NEAREST]
    what = "feature, and what is likely behind it" if any(one["cause"] for one in chosen) else "feature"
    weight = '<th class="number roomy">importance</th>' if importance else ""
    header = f'<th>{what}</th>{weight}<th>measure</th><th class="number">value</th><th class="number">alerts</th>'
    title = "What moved" if alerting else "Nearest to a threshold"
    return sections.section(title, header, (_row(one, importance, drawn) for one in chosen), sort=True)


def _row(one: Finding, importance: bool, drawn: Collection[str]) -> str:
    """Returns a row, with the cause below the name: beside it a phone would have no room for the measure."""
    share = one.get("importance")
    weight = (
        f'<td class="number roomy" data-value="{share or 0}">{numbers.percentage(share)}</td>' if importance else ""
    )
    is_named_so = one["name"] == one["subject"]
    mark = "" if one["subject"] != "prediction" or is_named_so else ' <span class="mark">prediction</span>'
    behind = f'<div class="long">{escape(one["cause"])}</div>' if one["cause"] else ""
    name = f'<td class="name" data-value="{escape(one["name"])}">{_link(one, drawn)}{mark}{behind}</td>'
    return f"<tr>{name}{weight}{_measured(one)}</tr>"


def _link(one: Finding, drawn: Collection[str]) -> str:
    name = f"<code>{escape(words.short(one['name']))}</code>"
    return f'<a href="#{one["figure"]}">{name}</a>' if one["figure"] in drawn else name


def _measured(one: Finding) -> str:
    """Returns cells: the measure, its value and its threshold."""
    value = one["value"]
    style = " bad" if one["alerts"] else ""
    return (
        f"<td>{escape(sections.measure(one))}</td>"
        f'<td class="number{style}" data-value="{value}">{numbers.number(value)}</td>'
        f'<td class="number limit">{sections.limit(one)}</td>'
    )


def _left_out(left_out: Sequence[LeftOut]) -> str:
    lines = (
        f'<tr><td class="number">{progress.text({one["unit"]: one["count"]})}</td><td>{escape(one["reason"])}</td>'
        f'<td class="long"><code>{escape(one["example"])}</code></td></tr>'
        for one in left_out
    )
    return sections.section("What was left out", "<th>how many</th><th>why</th><th>the first</th>", lines)


def _measures(findings: Sequence[Finding], drawn: Collection[str]) -> str:
    lines = (
        f'<tr><td class="name">{_link(one, drawn)}</td>{_measured(one)}'
        f'<td class="number">{numbers.count(one["rows"])}</td></tr>'
        for one in findings
    )
    header = (
        '<th>feature</th><th>measure</th><th class="number">value</th><th class="number">alerts</th>'
        '<th class="number">rows</th>'
    )
    return sections.section("Every measure", header, lines, sort=True, fold=True)

"""How good the model was, from labels, and how good it most likely is, as long as there are none."""

from collections.abc import Sequence
from datetime import datetime
from html import escape

import altair as alt

from penstock.components.window_monitor.judging import REALISED, name_of
from penstock.components.window_monitor.report import sections, times
from penstock.core import page, progress
from penstock.core.artifacts.gates import OVERALL
from penstock.core.artifacts.monitoring import EstimatedMetric, Finding, RealisedMetric, WindowRecord
from penstock.core.page import numbers

FIGURE = "performance"
_DRAWN = 6  # metrics
_HEIGHT = 140


def html(window: WindowRecord, before: Sequence[WindowRecord]) -> str:
    """Returns the section; "" where nothing is known of how good the model is."""
    estimated = _estimated(window.get("performance", []))
    tables = _realised(window) + estimated
    charts = _charts([*before, window])
    notes = sections.bullets(window["labels"]["notes"]) if "labels" in window else ""
    again = sections.bullets(_again(window))
    body = notes + again + charts + tables
    return f'<h2 id="{FIGURE}">How good the model is</h2>{body}' if body else ""


def _again(window: WindowRecord) -> list[str]:
    """Says for which earlier windows labels have come."""
    sentences = []
    for one in window.get("measured_again", []):
        period = numbers.period(*(datetime.fromisoformat(one[bound]) for bound in ("begin", "end")))
        labelled, rows = numbers.count(one["labelled"]), progress.text({"rows": one["rows"]})
        sentences.append(f"measured again, as labels have come: {period}, {labelled} of {rows}")
    return sentences


def _realised(window: WindowRecord) -> str:
    metrics = window.get("realised", [])
    if not metrics or "labels" not in window:
        return ""
    limits = {one["name"]: one for one in window["findings"] if one["measure"] == REALISED}
    lines = [_line(one, limits.get(name_of(one))) for one in metrics]
    labelled, rows = window["labels"]["rows"], window["rows"]
    share = numbers.percentage(labelled / rows if rows else 0.0)
    lead = f"Rows with a label: {numbers.count(labelled)} of {numbers.count(rows)} ({share})."
    header = (
        '<th>metric</th><th>slice</th><th class="number">value</th><th class="number">95 % interval</th>'
        '<th class="number">in the evaluation</th><th class="number">alerts</th><th class="number">rows</th>'
    )
    return sections.table("From labels", header, lines, lead)


def _line(one: RealisedMetric, finding: Finding | None) -> str:
    low, high, value = one["low"], one["high"], one["value"]
    interval = "" if low is None or high is None else f"{numbers.number(low)} to {numbers.number(high)}"
    style = " bad" if finding and finding["alerts"] else ""
    return (
        f"<tr><td>{escape(sections.metric(one['metric']))}</td><td>{escape(one['slice'])}</td>"
        f'<td class="number{style}" data-value="{value}">{numbers.number(value)}</td><td class="number">{interval}</td>'
        f'<td class="number">{numbers.number(one["evaluation"])}</td>'
        f'<td class="number">{sections.limit(finding) if finding else ""}</td>'
        f'<td class="number">{numbers.count(one["rows"])}</td></tr>'
    )


def _estimated(estimated: Sequence[EstimatedMetric]) -> str:
    lines = [
        f"<tr><td>{escape(sections.metric(one['metric']))}</td>"
        f'<td class="number">{numbers.number(one["value"])}</td>'
        f'<td class="number">{numbers.number(one["low"])} to {numbers.number(one["high"])}</td>'
        f'<td class="number">{numbers.number(one["evaluation"])}</td></tr>'
        for one in estimated
    ]
    header = (
        '<th>metric</th><th class="number">estimate</th><th class="number">95 % interval</th>'
        '<th class="number">in the evaluation</th>'
    )
    lead = (
        "Estimated without labels, from the model's own answers: right as long as the label depends on the features as "
        "it did in the evaluation split."
    )
    return sections.table("Estimated", header, lines, lead)


def _charts(windows: Sequence[WindowRecord]) -> str:
    """Returns a chart for each metric of all rows that windows have a value of, those with limits first."""
    limits: dict[str, float | None] = {}
    for window in windows:
        for one in window["findings"]:
            if one["measure"] == REALISED:
                limits[one["name"]] = one["threshold"]
    known = [one["metric"] for window in windows for one in window.get("realised", []) if one["slice"] == OVERALL]
    ordered = sorted(dict.fromkeys(known), key=lambda name: name not in limits)[:_DRAWN]
    charts = "".join(_chart(name, windows, limits.get(name)) for name in ordered)
    lead = "From labels, window by window; the band is the 95 % interval."
    return f'<p class="muted">{lead}</p><div class="plots">{charts}</div>' if charts else ""


def _chart(metric: str, windows: Sequence[WindowRecord], limit: float | None) -> str:
    shown = []
    evaluation = None
    for window in windows:
        for one in window.get("realised", []):
            if (one["metric"], one["slice"]) == (metric, OVERALL) and one["value"] is not None:
                measured = {key: one[key] for key in ("value", "low", "high", "rows")}  # type: ignore[literal-required]
                shown.append({**times.place(window["end"]), **measured})
                evaluation = one["evaluation"]
    base = alt.Chart(alt.Data(values=shown)).encode(x=times.X)
    scale = alt.Scale(zero=False)
    value = alt.Y("value:Q", title=None, axis=alt.Axis(tickCount=3), scale=scale)
    tooltip = [
        times.TOOLTIP,
        *(alt.Tooltip(f"{name}:Q", format=numbers.D3_NUMBER) for name in ("value", "low", "high")),
        alt.Tooltip("rows:Q", format=numbers.D3_COUNT),
    ]
    layers: list[alt.Chart] = [
        base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title=None, scale=scale), y2="high:Q"),
        base.mark_line(interpolate="linear").encode(y=value),
        base.mark_point(tooltip=True).encode(y=value, tooltip=tooltip),
    ]
    lines = {"evaluation": (evaluation, "var(--muted)"), "limit": (limit, "var(--bad)")}
    layers += [_rule(name, y, color) for name, (y, color) in lines.items() if y is not None]
    title = sections.metric(metric) + "".join(
        f" · {name} {numbers.number(y)}" for name, (y, _) in lines.items() if y is not None
    )
    return page.chart(alt.layer(*layers).properties(height=_HEIGHT), title)


def _rule(name: str, value: float, color: str) -> alt.Chart:
    chart: alt.Chart = (
        alt.Chart(alt.Data(values=[{"value": value, "name": name}]))
        .mark_rule(strokeDash=[4, 3], strokeWidth=1, color=color, tooltip=True)
        .encode(y=alt.Y("value:Q", title=None), tooltip=["name:N", alt.Tooltip("value:Q", format=numbers.D3_NUMBER)])
    )
    return chart

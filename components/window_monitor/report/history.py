"""Measures from window to window, each beside the threshold that it had."""

from collections.abc import Sequence

import altair as alt

from penstock.components.monitoring import words
from penstock.components.window_monitor.report import times
from penstock.core import page
from penstock.core.artifacts.monitoring import ComparedWith, Finding, Subject, WindowRecord, first_of_each, titled
from penstock.core.page import numbers

_MOST = 12
_HEIGHT = 120

type _Series = tuple[Subject, str, str, ComparedWith]  # subject, name, measure


def html(window: WindowRecord, before: Sequence[WindowRecord]) -> str:
    """Returns a chart for each measure that alerts, and for the nearest to it; "" if there is no window before."""
    if not before:
        return ""
    windows = [*before, window]
    chosen = _chosen(window["findings"])
    charts = "".join(_chart(series, windows) for series in chosen)
    rows = page.chart(_rows(windows), "Rows in a window")
    return (
        f'<h2 id="history">Windows before</h2><p class="muted">{len(before):,} of them. '
        "The line is the measure, the dashed one its threshold, which is higher in smaller windows.</p>"
        f'<div class="plots">{charts}{rows}</div>'
    )


def _chosen(findings: Sequence[Finding]) -> list[_Series]:
    """Returns of each feature the first of its findings, which are ordered."""
    shifts = (one for one in findings if one["subject"] != "performance")  # which has charts of its own
    first = first_of_each(one for one in shifts if one["value"] is not None and one["threshold"] is not None)
    return [_series(one) for one in first[:_MOST]]


def _series(one: Finding) -> _Series:
    return one["subject"], one["name"], one["measure"], one.get("compared_with", "training")


def _chart(series: _Series, windows: Sequence[WindowRecord]) -> str:
    shown = []
    for window in windows:
        for one in window["findings"]:
            if _series(one) == series:
                shown.append(
                    {
                        **times.place(window["end"]),
                        "value": one["value"],
                        "threshold": one["threshold"],
                        "alerts": "alert" if one["alerts"] else "",
                        "rows": one["rows"],
                    }
                )
    subject, name, measure, compared_with = series
    base = alt.Chart(alt.Data(values=shown)).encode(x=times.X)
    tooltip = [
        times.TOOLTIP,
        alt.Tooltip("value:Q", format=numbers.D3_NUMBER),
        alt.Tooltip("threshold:Q", format=numbers.D3_NUMBER),
        alt.Tooltip("rows:Q", format=numbers.D3_COUNT),
    ]
    value = alt.Y("value:Q", title=None, axis=alt.Axis(tickCount=3))
    layers = alt.layer(
        base.mark_line(interpolate="linear").encode(y=value),
        base.mark_line(strokeDash=[4, 3], strokeWidth=1, color="var(--muted)").encode(y="threshold:Q"),
        base.mark_point(tooltip=True).encode(
            y=value,
            color=alt.condition("datum.alerts", alt.value("var(--bad)"), alt.value("var(--plot)")),
            tooltip=tooltip,
        ),
    ).properties(height=_HEIGHT)
    title = titled(subject, name, words.short(name))
    beside = ", from the window before" if compared_with == "window" else ""
    return page.chart(layers, f"{title}: {words.MEASURES.get(measure, measure)}{beside}")


def _rows(windows: Sequence[WindowRecord]) -> alt.Chart:
    shown = [{**times.place(window["end"]), "rows": window["rows"]} for window in windows]
    chart: alt.Chart = (
        alt.Chart(alt.Data(values=shown))
        .mark_line(point=True)
        .encode(
            x=times.X,
            y=alt.Y("rows:Q", title=None, axis=alt.Axis(tickCount=3)),
            tooltip=[
                times.TOOLTIP,
                alt.Tooltip("rows:Q", format=numbers.D3_COUNT),
            ],
        )
        .properties(height=_HEIGHT)
    )
    return chart

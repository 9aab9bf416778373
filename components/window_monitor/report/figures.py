"""How features and predictions are distributed, in training and in the window, side by side."""

from collections.abc import Sequence
from html import escape

import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.monitoring import words
from penstock.components.statistics_gen import distributions
from penstock.components.window_monitor import findings
from penstock.components.window_monitor.findings import Compared
from penstock.core import page, progress
from penstock.core.artifacts.monitoring import Finding, titled

GROUPS = ("training", "window")
_NOTHING = '<p class="muted">the same value everywhere, or none</p>'
_MOST = 100  # further figures stand in the table alone


def drawn(parts: Sequence[Compared], ordered: Sequence[Finding]) -> dict[str, tuple[Compared, str]]:
    """Returns the parts and features that are drawn, by their figures: what alerts first, the first _MOST."""
    there = {
        findings.figure(part.subject, part.reference, name): (part, name)
        for part in parts
        for name in part.reference.bins
    }
    figures = [figure for figure in dict.fromkeys(one["figure"] for one in ordered) if figure in there]
    return {figure: there[figure] for figure in figures[:_MOST]}


def html(parts: Sequence[Compared], ordered: Sequence[Finding]) -> str:
    """Returns the figures, of what alerts first and then by importance times shift; each has its finding's id."""
    alerting = {one["figure"] for one in ordered if one["alerts"]}
    figures = drawn(parts, ordered)
    shown = [_figure(figure, part, name, figure in alerting) for figure, (part, name) in figures.items()]
    if not shown:
        return ""
    rows = max((part.after.num_rows for part in parts), default=0)
    features = sum(len(part.reference.bins) for part in parts)
    more = f" The first {len(figures)} are drawn." if features > len(figures) else ""
    return (
        f'<h2>Distributions</h2><p class="muted">Of {progress.text({"rows": rows})} of the window at most.{more}</p>'
        f'{page.legend(GROUPS)}<div class="plots">{"".join(shown)}</div>'
    )


def _figure(figure: str, part: Compared, name: str, alerts: bool) -> str:
    bins = part.reference.bins[name]
    groups = {
        group: _amounts(rows, name, bins.kind) for group, rows in zip(GROUPS, (part.before, part.after), strict=True)
    }
    drawn = distributions.chart(name, groups, bins.kind != "category")
    title = titled(part.subject, name, words.short(name)) + (" (length)" if bins.kind == "text" else "")
    if alerts:
        title += " · moved"
    if drawn:
        chart, left_out = drawn
        text = page.chart(chart, title + (f" ({left_out})" if left_out else ""))
    else:
        text = f"<figure><figcaption>{escape(title)}</figcaption>{_NOTHING}</figure>"
    return f'<div id="{figure}">{text}</div>'


def _amounts(rows: pa.Table, name: str, kind: str) -> pa.Table:
    """Returns the rows, with the lengths of texts in place of these."""
    if kind != "text" or name not in rows.column_names:
        return rows
    column = rows[name].combine_chunks()
    if pa.types.is_null(column.type):
        return rows
    lengths = pc.binary_length(pc.list_flatten(column))
    counts = pc.fill_null(pc.list_value_length(column), 0)
    offsets = pa.array([0, *pc.cumulative_sum(counts).to_pylist()], pa.int64())
    return pa.table({name: pa.LargeListArray.from_arrays(offsets, lengths)})

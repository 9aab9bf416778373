"""Two runs beside each other as a page: metrics, learning curves, and what differs in what they were made of."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from penstock.components.trainer import epochs
from penstock.components.trainer.epochs import VALIDATION
from penstock.core import page
from penstock.core.page.metrics import Scale
from penstock.pipelines.local.comparison import rows
from penstock.pipelines.local.comparison.comparison import Change, Comparison, Curve
from penstock.pipelines.local.comparison.rows import Row

_MOST_TICKS = 8


def html(comparison: Comparison) -> str:
    """Returns the page; it needs altair."""
    first, second = comparison["first"], comparison["second"]
    parts = [
        f"<h1>{escape(second['pipeline'])}: two runs</h1>",
        _table("", rows.results(comparison)),
        _section("Learning curves", _curves(comparison["curves"])),
        _section("Configuration", _table("key", rows.configuration(comparison))),
        _section("Columns", _table("column", rows.columns(comparison))),
        _section("What else changed", "".join(map(_change, comparison["tasks"]))),
        _section("Code", "".join(_diff(one["file"], one["diff"]) for one in comparison["files"])),
    ]
    return page.html(f"{second['run']} against {first['run']}", "\n".join(parts))


def _table(name: str, lines: Iterable[Row]) -> str:
    cells = "".join(map(_row, lines))
    header = "".join(f"<th>{title}</th>" for title in (name, "first", "second", ""))
    return page.table(cells, header) if cells else ""


def _row(row: Row) -> str:
    mark = "" if row.better is None else page.mark("better" if row.better else "worse", row.better)
    values = "".join(f'<td class="value">{page.breakable(value)}</td>' for value in (row.first, row.second))
    name = f'<td class="name">{page.breakable(row.name)}</td>'
    return f"<tr>{name}{values}<td>{escape(row.change)} {mark}</td></tr>"


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>{content}" if content else ""


def _change(one: Change) -> str:
    return f"<p><strong>{escape(one['task'])}</strong>: {escape(one['changed'])}</p>"


def _diff(file: str, diff: str) -> str:
    return f"<details open><summary>{escape(file)}</summary><pre>{escape(diff)}</pre></details>"


def _curves(curves: Sequence[Curve]) -> str:
    """Returns a chart for each measure, training and evaluation of both runs in it."""
    charts = []
    tasks = list(dict.fromkeys(curve["task"] for curve in curves))
    for task in tasks:
        measures = {curve["measure"]: curve for curve in curves if curve["task"] == task}
        scale = epochs.scale(measures)
        for name in dict.fromkeys(measure.removeprefix(VALIDATION) for measure in measures):
            both = [measures[measure] for measure in (name, VALIDATION + name) if measure in measures]
            title = f"{task}: {scale.name(name)}" if len(tasks) > 1 else scale.name(name)
            charts.append(page.chart(_chart(both, name, scale), title))
    return f'<div class="plots">{"".join(charts)}</div>' if charts else ""


def _chart(curves: Sequence[Curve], name: str, scale: Scale) -> Any:
    import altair

    points = [
        {"epoch": epoch, "value": scale.number(name, value), "run": run, "split": split}
        for curve in curves
        for split in ["eval" if curve["measure"] != name else "train"]
        for run, values in (("first", curve["first"]), ("second", curve["second"]))
        for epoch, value in enumerate(values, 1)
        if value is not None
    ]
    last = max(len(values) for curve in curves for values in (curve["first"], curve["second"]))
    ticks = list(range(1, last + 1, -(-last // _MOST_TICKS)))
    form = scale.format(name)
    dashes = altair.Scale(domain=["eval", "train"], range=[[1, 0], [4, 3]])
    return (
        altair.Chart(altair.Data(values=points))
        .mark_line(point=True)
        .encode(
            x=altair.X("epoch:Q", title="epoch", axis=altair.Axis(values=ticks, format="d")),
            y=altair.Y("value:Q", title=None, scale=altair.Scale(zero=False), axis=altair.Axis(format=form)),
            color=altair.Color("run:N", scale=altair.Scale(range=["var(--plot-1)", "var(--plot-2)"])),
            strokeDash=altair.StrokeDash("split:N", scale=dashes),
            tooltip=["run:N", "split:N", "epoch:Q", altair.Tooltip("value:Q", format=form)],
        )
    )

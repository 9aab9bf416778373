"""What matters: how much worse the model gets without a column, and how its prediction changes with a value."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from statistics import fmean

import altair as alt

from penstock.components.evaluator.report import charts
from penstock.components.evaluator.report.charts import Cell, Figure, Spec
from penstock.core import page
from penstock.core.artifacts.evaluation_summary import Effect, EvaluationSummary, Importance
from penstock.core.page import numbers
from penstock.core.page.metrics import Scale
from penstock.core.text import printable
from penstock.trainer.plan import dates

_MOST_DRAWN = 15
_MOST_VALUES = 12  # of a column of text
_HEIGHT = 180
_LONGEST_SHARE = 6  # characters, as in "5.26% "
_DIGITS = 6  # of a value that the pointer is at


def section(summary: EvaluationSummary, scale: Scale) -> str:
    """Returns the importance of columns and the effects of the most important ones; nothing if neither was computed."""
    if not summary["importance"] and not summary["effects"]:
        return ""
    parts = ["<h2>What matters</h2>"]
    if summary["importance"]:
        parts += [_importance(summary, scale).html(), _rest(summary["importance"][_MOST_DRAWN:], summary, scale)]
    if summary["effects"]:
        parts.append(
            f'<h2>The shape of the most important effects</h2><p class="muted">{escape(_explained(summary))}</p>'
            + charts.grid(_effects(summary))
        )
    return "".join(parts)


def _importance(summary: EvaluationSummary, scale: Scale) -> Figure:
    shown = summary["importance"][:_MOST_DRAWN]
    metric, times = summary["main_metric"], max((len(one["worse_by"]) for one in shown), default=0)
    title = f"{scale.name_of_differences(metric)}: worse by" if metric else "worse by"
    columns = printable.names([one["column"] for one in shown], charts.LONGEST_NAME)
    return Figure(
        "Permutation importance",
        _importance_spec(len(shown), title, scale.format(metric)),
        [
            {
                "column": name,
                "mean": fmean(one["worse_by"]),
                "least": min(one["worse_by"]),
                "most": max(one["worse_by"]),
            }
            for name, one in zip(columns, shown, strict=True)
        ],
        note="How much worse the model gets if the values of a column are shuffled, in "
        f"{numbers.count(summary['sampled_rows'])} rows. The lines go from the least to the most of {times} times.",
    )


def _importance_spec(count: int, title: str, form: str) -> Spec:
    base = charts.chart("column", "mean", "least", "most").encode(
        y=alt.Y("column:N", title=None, sort=None, axis=charts.EVERY_NAME),
        tooltip=[
            alt.Tooltip("column:N"),
            alt.Tooltip("mean:Q", title="worse by", format=form),
            alt.Tooltip("least:Q", format=form),
            alt.Tooltip("most:Q", format=form),
        ],
    )
    bars = base.mark_bar(opacity=0.6, height=11).encode(x=alt.X("mean:Q", title=title, axis=alt.Axis(format=form)))
    spread = base.mark_rule(color="var(--text)", strokeWidth=1.5).encode(x="least:Q", x2="most:Q")
    return charts.spec(alt.layer(bars, spread), charts.height(count))


def _rest(others: list[Importance], summary: EvaluationSummary, scale: Scale) -> str:
    rows = "".join(
        f'<tr><td class="long">{escape(printable.name(one["column"]))}</td><td class="number">'
        f"{scale.signed(summary['main_metric'], fmean(one['worse_by']))}</td></tr>"
        for one in others
    )
    header = '<th>column</th><th class="number">worse by</th>'
    return (
        f"<details><summary>{len(others):,} more columns</summary>{page.table(rows, header)}</details>" if rows else ""
    )


def _explained(summary: EvaluationSummary) -> str:
    whose = f"predicted {printable.name(summary['label'])}" if summary["problem"] == "regression" else "probability"
    return (
        f"The mean {whose} if all sampled rows had this value, for the columns that matter most. How many rows really "
        "have it: the grey bars, on a scale of their own, and the percentages."
    )


def _effects(summary: EvaluationSummary) -> list[Figure]:
    """All have the same scale, so that a large effect looks large."""
    effects = [effect for effect in summary["effects"] if effect["values"]]
    predictions = [value for effect in effects for value in effect["predictions"]]
    if not predictions:
        return []
    low = min(predictions) if summary["problem"] == "regression" else 0.0
    scale = alt.Scale(domain=[low, max(predictions)], nice=True, zero=False)
    return [_effect(effect, scale, _axis(effect, summary)) for effect in effects]


def _axis(effect: Effect, summary: EvaluationSummary) -> alt.Axis:
    """Returns the axis of the prediction: the label's, or the probability of a class."""
    if summary["problem"] == "regression":
        title, form = f"mean predicted {printable.name(summary['label'])}", numbers.D3_NUMBER
    elif summary["problem"] == "other":
        title, form = "mean prediction", numbers.D3_NUMBER
    else:
        place = effect.get("predicted_class", 1)
        names = printable.names(summary["classes"])
        title = f"probability of {names[place]}" if place < len(names) else "probability"
        form = numbers.D3_SHARE
    return alt.Axis(title=title, format=form, tickCount=4)


def _effect(effect: Effect, scale: alt.Scale, axis: alt.Axis) -> Figure:
    column, most = printable.name(effect["column"]), max(effect["shares"], default=1)
    texts = [str(value) for value in effect["values"]] if isinstance(effect["values"][0], str) else []
    values: Sequence[Cell]
    if moments := _moments(texts):
        values, names = [1000 * dates.seconds(moment) for moment in moments], texts
        spec = _numbers_spec(alt.X("value:T", title=column, scale=alt.Scale(type="utc", nice=False)), most, scale, axis)
    elif texts:
        shares = map(numbers.percentage, effect["shares"])
        short = printable.names(texts, charts.LONGEST_NAME - _LONGEST_SHARE)[:_MOST_VALUES]
        names = [f"{share} {name}" for share, name in zip(shares, short, strict=False)]
        values, spec = names, _texts_spec(len(names), scale, axis)
    else:
        values = amounts = [float(value) for value in effect["values"]]
        are_whole = all(value.is_integer() for value in amounts)
        are_years = are_whole and numbers.are_years(min(amounts), max(amounts))
        names = [numbers.number(value, _DIGITS, grouped=not are_years) for value in amounts]
        ticks = alt.Axis(tickMinStep=int(are_whole), format=numbers.D3_UNGROUPED if are_years else alt.Undefined)
        place = alt.X("value:Q", title=column, scale=alt.Scale(zero=False, nice=False), axis=ticks)
        spec = _numbers_spec(place, most, scale, axis)
    rows: list[dict[str, Cell]] = [
        {"value": value, "name": name, "prediction": prediction, "share": share}
        for value, name, prediction, share in zip(values, names, effect["predictions"], effect["shares"], strict=False)
    ]
    return Figure(column, spec, rows)


def _moments(texts: Sequence[str]) -> list[datetime]:
    """Returns the moments that all texts are; nothing if some are none."""
    written = dates.written(texts)
    read = map(dates.reader(written.format), texts) if written else []
    moments = [moment for moment in read if moment]
    return moments if len(moments) == len(texts) else []


def _numbers_spec(place: alt.X, most: float, scale: alt.Scale, axis: alt.Axis) -> Spec:
    """The shares stand at the foot of the plot: their scale leaves the rest of it free."""
    base = _base(axis).encode(x=place)
    foot = alt.Scale(domain=[0, 4 * most])
    shares = base.mark_bar(color=charts.MUTED, opacity=0.35, size=8).encode(y=alt.Y("share:Q", scale=foot, axis=None))
    line = base.mark_line(point=True).encode(y=alt.Y("prediction:Q", scale=scale, axis=axis))
    return charts.spec(alt.layer(shares, line).resolve_scale(y="independent"), _HEIGHT)


def _texts_spec(count: int, scale: alt.Scale, axis: alt.Axis) -> Spec:
    base = _base(axis).encode(y=alt.Y("value:N", title=None, sort=None, axis=charts.EVERY_NAME))
    stems = base.mark_bar(color="var(--line)", height=3, clip=True).encode(x="prediction:Q")
    dots = base.mark_point(size=70, filled=True, opacity=1).encode(x=alt.X("prediction:Q", scale=scale, axis=axis))
    return charts.spec(alt.layer(stems, dots), charts.height(count))


def _base(axis: alt.Axis) -> alt.Chart:
    return charts.chart("value", "name", "prediction", "share").encode(
        tooltip=[
            alt.Tooltip("name:N", title="value"),
            alt.Tooltip("prediction:Q", title="mean prediction", format=axis.format),
            alt.Tooltip("share:Q", title="share of rows", format=charts.SHARE),
        ]
    )

"""The slices of an evaluation: a chart of the worst, and a table of all."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import altair as alt

from penstock.components.evaluator.report import charts
from penstock.components.evaluator.report.charts import Figure, Spec
from penstock.components.evaluator.report.models import approximation, bounds, listed_metrics, value_html
from penstock.core import page
from penstock.core.artifacts import evaluation_summary
from penstock.core.artifacts.evaluation_summary import EvaluationSummary, Measure, SliceSummary
from penstock.core.artifacts.gates import OVERALL
from penstock.core.metrics import tells_quality
from penstock.core.page import numbers
from penstock.core.page.metrics import Scale
from penstock.core.text import printable

_MOST_DRAWN = 20
_BETWEEN = ", "  # the features of a slice
_LONGEST, _LONGEST_VALUE = 400, 40  # characters of a slice's name, and of each value in it
_MANY, _BY_CHANCE = 20, 1 / 40  # slices, and the share whose 95% interval is wholly on the worse side by chance
_MOST_METRICS = 4  # in the table, beside the main one


class Judged(NamedTuple):
    """A slice with its main metric. Of two slices the worse has more of `badness`, which is None if it is not known."""

    part: SliceSummary
    measure: Measure
    badness: float | None
    surely: bool  # worse than overall: its whole interval is on the worse side


def name(part: SliceSummary, longest: int = _LONGEST_VALUE) -> str:
    """Returns the name of a slice, as verdicts have it, but with each value of a length that fits."""
    values = (printable.name(f"{feature}={value}", longest) for feature, value in part["features"])
    return _BETWEEN.join(values) or OVERALL


def names(parts: Sequence[SliceSummary], longest: int = _LONGEST_VALUE) -> list[str]:
    """Returns the names of slices, which are all different."""
    return printable.names([name(part, longest) for part in parts], _LONGEST)


def judged(summary: EvaluationSummary) -> list[Judged]:
    """Returns the slices but for the overall one, worst first; at the end those whose main metric is not defined."""
    metric, overall = summary["main_metric"], _overall(summary)
    sign = 1 if metric in summary["lower_is_better"] else -1
    every = [_judged(part, metric, overall, sign) for part in summary["slices"] if part["features"]]
    return sorted(every, key=lambda each: (each.badness is None, -(each.badness or 0)))


def _judged(part: SliceSummary, metric: str, overall: float | None, sign: int) -> Judged:
    measured = part["metrics"].get(metric, Measure(value=None))
    value, nearest = measured["value"], measured.get("low") if sign > 0 else measured.get("high")
    surely = overall is not None and nearest is not None and sign * (nearest - overall) > 0
    return Judged(part, measured, None if value is None else sign * value, surely)


def _overall(summary: EvaluationSummary) -> float | None:
    """Returns the main metric over all examples; None if it is not defined, or nobody asked for it."""
    part = evaluation_summary.overall(summary)
    return part["metrics"].get(summary["main_metric"], Measure(value=None))["value"] if part else None


def section(summary: EvaluationSummary, scale: Scale) -> str:
    """Returns the slices, worst first; nothing if there is only the overall one."""
    every = judged(summary)
    if not every:
        return ""
    drawn = [each for each in every if each.badness is not None]
    figure = _chart(drawn, summary, scale).html() if len(drawn) > 1 else ""
    judgement = f'<p class="muted">{_judgement(every, _overall(summary))}</p>'
    return f"<h2>Slices</h2>{judgement}{figure}{_table(every, summary, scale)}"


def _judgement(every: list[Judged], overall: float | None) -> str:
    known = [each for each in every if "low" in each.measure]
    if overall is None or not known:
        return "The worst slice comes first."
    surely = sum(each.surely for each in every)
    parts = ["No slice is worse than overall beyond chance: no 95% interval lies wholly on its worse side."]
    if surely:
        are, which = "is" if surely == 1 else "are", " with an interval" if len(known) < len(every) else ""
        parts = [
            f"{surely:,} of {len(known):,} slices{which} {are} worse than overall beyond chance, and bold in the table:"
        ]
        parts.append("the 95% interval lies wholly on the worse side.")
        if len(known) >= _MANY:
            parts.append(f"Of so many, about {round(_BY_CHANCE * len(known)) or 1:,} would be so by chance alone.")
    return " ".join(filter(None, [*parts, approximation(each.measure for each in every)]))


def _chart(drawn: list[Judged], summary: EvaluationSummary, scale: Scale) -> Figure:
    metric, overall, worst = summary["main_metric"], _overall(summary), drawn[:_MOST_DRAWN]
    of_axis = names([each.part for each in worst], charts.LONGEST_NAME)
    return Figure(
        f"The {len(worst)} worst slices" if len(drawn) > len(worst) else "The slices, worst first",
        _spec(worst, scale.name(metric), scale.format(metric)),
        [
            {
                "slice": slice_name,
                "value": _number(each.measure["value"], metric, scale),
                "low": _number(each.measure.get("low"), metric, scale),
                "high": _number(each.measure.get("high"), metric, scale),
                "rows": each.part["examples"],
            }
            for slice_name, each in zip(of_axis, worst, strict=True)
        ],
        [] if overall is None else [(scale.number(metric, overall), 0)],
        "" if overall is None else f"The dashed line is overall: {scale.value(metric, overall)}.",
    )


def _spec(drawn: list[Judged], title: str, form: str) -> Spec:
    """A name has a line for each feature of its slice."""
    has_intervals = any("low" in each.measure for each in drawn)
    lines = max(len(each.part["features"]) for each in drawn)
    axis = alt.Axis(labelOverlap=False, labelLimit=charts.NAMES_WIDTH, labelExpr=f"split(datum.label, '{_BETWEEN}')")
    bounds = [("low", "from"), ("high", "to")] if has_intervals else []
    base = charts.chart("slice", "value", "low", "high", "rows").encode(
        y=alt.Y("slice:N", title=None, sort=None, axis=axis),
        tooltip=[
            alt.Tooltip("slice:N"),
            alt.Tooltip("value:Q", title=title, format=form),
            *(alt.Tooltip(f"{bound}:Q", title=words, format=form) for bound, words in bounds),
            alt.Tooltip("rows:Q", format=charts.COUNT),
        ],
    )
    x = alt.X("value:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(format=form))
    layers = [charts.rule(), base.mark_point(size=50, filled=True, opacity=1).encode(x=x)]
    if has_intervals:
        spread = base.mark_rule(strokeWidth=3, color="var(--plot)", opacity=0.35).encode(x="low:Q", x2="high:Q")
        layers.insert(1, spread)
    return charts.spec(alt.layer(*layers), charts.height(len(drawn), lines))


def _table(every: list[Judged], summary: EvaluationSummary, scale: Scale) -> str:
    metric, overall = summary["main_metric"], _overall(summary)
    others = [one for one in listed_metrics(summary["slices"][0]["metrics"]) if one != metric and tells_quality(one)]
    others = others[:_MOST_METRICS]
    with_baseline = any(metric in part["baseline"] for part in summary["slices"])
    with_interval = any("low" in part["metrics"].get(metric, {}) for part in summary["slices"])
    heads = ["rows", *([scale.name(metric)] if metric else []), *(["95% interval"] if with_interval else [])]
    heads += ["vs. overall"] if metric else []
    heads += ["vs. baseline"] if with_baseline else []
    heads += [scale.name(one) for one in others]
    header = "<th>slice</th>" + "".join(f'<th class="number">{escape(head)}</th>' for head in heads)
    whole = evaluation_summary.overall(summary)
    rows = ""
    for each in [*([_judged(whole, metric, None, 1)] if whole else []), *every]:
        part, value = each.part, each.measure["value"]
        cells = [_cell(part["examples"], numbers.count(part["examples"]))]
        if metric:
            cells.append(_cell(value, value_html(each.measure, metric, scale)))
            cells += [_cell(each.measure.get("low"), bounds(each.measure, metric, scale))] if with_interval else []
            cells.append(_difference(value, overall if part["features"] else None, metric, scale))
        if with_baseline:
            cells.append(_difference(value, part["baseline"].get(metric, {"value": None})["value"], metric, scale))
        cells += [
            _cell(part["metrics"].get(one, {"value": None})["value"], value_html(part["metrics"].get(one), one, scale))
            for one in others
        ]
        title = name(part)
        mark = f"<strong>{escape(title)}</strong>" if each.surely else escape(title)
        rows += f'<tr><td class="long">{mark}</td>{"".join(cells)}</tr>'
    return page.table(rows, header, sort=True, fold=True)


def _difference(value: float | None, other: float | None, metric: str, scale: Scale) -> str:
    if value is None or other is None:
        return _cell(None, "")
    return _cell(value - other, scale.difference(metric, value, other))


def _number(value: float | None, metric: str, scale: Scale) -> float | None:
    return None if value is None else scale.number(metric, value)


def _cell(value: float | None, shown: str) -> str:
    """Returns a cell that is sorted by its value."""
    return f'<td class="number" data-value="{"" if value is None else value}">{shown}</td>'

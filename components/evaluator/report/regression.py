"""The figures of a regression: predictions against labels, and how far they are from each other."""

from functools import cache
from itertools import pairwise

import altair as alt

from penstock.components.evaluator.report import charts
from penstock.components.evaluator.report.charts import Figure, Spec
from penstock.core.artifacts.evaluation_summary import RegressionPlot
from penstock.core.page import numbers
from penstock.core.text import printable

_HEIGHT = charts.HEIGHT + 30


def figures(plot: RegressionPlot, label: str) -> list[Figure]:
    """Returns the figures of a slice."""
    return [_against(plot, printable.name(label)), _residuals(plot, printable.name(label))]


def _against(plot: RegressionPlot, label: str) -> Figure:
    buckets = [
        (predicted, actual, count)
        for predicted, actual, count in zip(
            plot["mean_predictions"], plot["mean_labels"], plot["examples"], strict=True
        )
        if predicted is not None and actual is not None
    ]
    values = [value for predicted, actual, _ in buckets for value in (predicted, actual)]
    return Figure(
        "Predicted against actual",
        _against_spec(label),
        [{"predicted": predicted, "actual": actual, "rows": count} for predicted, actual, count in buckets],
        [(end, end) for end in (min(values, default=0.0), max(values, default=1.0))],
        "A dot is a group of rows with nearly the same prediction, the larger the more there are. On the dashed line "
        "they are right on average.",
    )


@cache
def _against_spec(label: str) -> Spec:
    scale = alt.Scale(nice=True, zero=False)
    dots = (
        charts.chart("predicted", "actual", "rows")
        .mark_circle(opacity=0.75)
        .encode(
            x=alt.X("predicted:Q", title=f"mean predicted {label}", scale=scale),
            y=alt.Y("actual:Q", title=f"mean actual {label}", scale=scale),
            size=alt.Size("rows:Q", scale=alt.Scale(domainMin=0, range=[15, 150]), legend=None),
            tooltip=[
                alt.Tooltip("predicted:Q", title="mean prediction", format=charts.NUMBER),
                alt.Tooltip("actual:Q", title="mean label", format=charts.NUMBER),
                alt.Tooltip("rows:Q", format=charts.COUNT),
            ],
        )
    )
    return charts.spec(alt.layer(charts.dashed(), dots), _HEIGHT)


def _residuals(plot: RegressionPlot, label: str) -> Figure:
    return Figure(
        "Residuals",
        _residuals_spec(label),
        [
            {"low": low, "high": high, "rows": count}
            for (low, high), count in zip(pairwise(plot["residual_edges"]), plot["residuals"], strict=True)
        ],
        [(0, 0)],
        f"How far the label is from its prediction. {numbers.percentage(_share_above_zero(plot))} of the rows are "
        "right of the dashed line: more than predicted. The outermost bars have those beyond as well.",
    )


@cache
def _residuals_spec(label: str) -> Spec:
    bars = (
        charts.chart("low", "high", "rows")
        .mark_bar(opacity=0.75)
        .encode(
            x=alt.X("low:Q", title=f"actual minus predicted {label}", bin="binned"),
            x2="high:Q",
            y=alt.Y("rows:Q", title="rows"),
            tooltip=[
                alt.Tooltip("low:Q", title="from", format=charts.NUMBER),
                alt.Tooltip("high:Q", title="to", format=charts.NUMBER),
                alt.Tooltip("rows:Q", format=charts.COUNT),
            ],
        )
    )
    return charts.spec(alt.layer(bars, charts.rule()), _HEIGHT)


def _share_above_zero(plot: RegressionPlot) -> float:
    """A bucket around 0 counts by the part of it that is above."""
    above = sum(
        count * min(1.0, max(0.0, high / (high - low)))
        for (low, high), count in zip(pairwise(plot["residual_edges"]), plot["residuals"], strict=True)
        if high > low
    )
    return above / (sum(plot["residuals"]) or 1)

"""The figures of a binary problem: the confusion matrix at any threshold, the curves, calibration, and the scores."""

import json
from collections.abc import Mapping
from functools import cache

import altair as alt

from penstock.components.evaluator.report import charts
from penstock.components.evaluator.report.charts import Figure, Spec
from penstock.components.evaluator.report.curves import THRESHOLDS, Curves, Point
from penstock.core.artifacts.evaluation_summary import BinaryPlot, Measure
from penstock.core.page import numbers
from penstock.core.text import printable

_UNIT = alt.Scale(domain=[0, 1])
_PERCENT = alt.Axis(format=".0%", tickCount=5)
_OFF = 0.005  # at most, is the area of the drawn curve: else the metric is of something else
_GUESS = "The dashed line is guessing"


def figures(plot: BinaryPlot, classes: list[str], metrics: Mapping[str, Measure]) -> list[Figure]:
    """Returns the figures of a slice, of which `metrics` tell; where all rows are of one class, only the scores."""
    curves = Curves.of(plot)
    negative, positive = printable.names(classes) if len(classes) == 2 else ("negative", "positive")
    scores = _scores(curves, positive, negative)
    if not curves.has_both_classes:
        return [scores]
    return [
        _matrix(curves, positive, negative),
        _by_threshold(curves, positive),
        _roc(curves, positive, negative, metrics),
        _precision_recall(curves, positive),
        _calibration(curves, positive),
        scores,
    ]


def _matrix(curves: Curves, positive: str, negative: str) -> Figure:
    return Figure(
        "Confusion matrix",
        _matrix_spec(float(curves.edges[0]), float(curves.edges[-1]), positive, negative),
        [
            {
                "at": point.threshold,
                "tp": point.true_positives,
                "fn": point.false_negatives,
                "fp": point.false_positives,
                "tn": point.true_negatives,
            }
            for point in curves.at_thresholds()
        ],
        note=f"Rows whose prediction is at least the threshold are called {positive}. The percentages are of the "
        "actual class: those in the diagonal are right.",
    )


@cache
def _matrix_spec(low: float, high: float, positive: str, negative: str) -> Spec:
    """The counts at a threshold are those of the row that is nearest to it."""
    step = (high - low) / THRESHOLDS
    slider = alt.binding_range(min=low, max=high, step=step, name="threshold ")
    threshold = alt.param("threshold", value=0.5 if low < 0.5 < high else low + step * (THRESHOLDS // 2), bind=slider)
    is_positive, is_called = ("datum.cell == 'tp' || datum.cell == 'fn'", "datum.cell == 'tp' || datum.cell == 'fp'")
    names = f"{json.dumps(positive)} : {json.dumps(negative)}"
    cells = (
        charts.chart("at", "tp", "fn", "fp", "tn")
        .transform_filter(f"abs(datum.at - threshold) < {step / 2:.9g}")
        .transform_fold(["tp", "fn", "fp", "tn"], ["cell", "rows"])
        .transform_calculate(
            actual=f"{is_positive} ? {names}",
            predicted=f"{is_called} ? {names}",
            share=f"datum.rows / ({is_positive} ? datum.tp + datum.fn : datum.fp + datum.tn)",
        )
        .encode(
            x=alt.X(
                "predicted:N",
                title="predicted",
                sort=[positive, negative],
                axis=alt.Axis(labelAngle=0, labelLimit=110),
            ),
            y=alt.Y("actual:N", title="actual", sort=[positive, negative]),
            tooltip=[
                alt.Tooltip("actual:N"),
                alt.Tooltip("predicted:N"),
                alt.Tooltip("rows:Q", format=charts.COUNT),
                alt.Tooltip("share:Q", title="share of the actual", format=charts.SHARE),
            ],
        )
    )
    chart = alt.layer(
        cells.mark_rect(stroke="var(--back)").encode(opacity=charts.strength("share")),
        cells.mark_text(dy=-8, fontSize=15, fontWeight=600).encode(text=alt.Text("rows:Q", format=charts.COUNT)),
        cells.mark_text(dy=10, color=charts.MUTED).encode(text=alt.Text("share:Q", format=charts.SHARE)),
    )
    return charts.spec(chart.add_params(threshold), charts.HEIGHT - 40)


def _by_threshold(curves: Curves, positive: str) -> Figure:
    points = curves.at_thresholds()
    best = max(points, key=lambda point: point.f1 or 0)
    return Figure(
        "Precision, recall, F1 by threshold",
        _by_threshold_spec(),
        [
            {"threshold": point.threshold, "precision": point.precision, "recall": point.recall, "F1": point.f1}
            for point in points
        ],
        note=f"F1 for {positive} is highest, {numbers.number(best.f1)}, at the threshold "
        f"{numbers.number(best.threshold)}.",
    )


@cache
def _by_threshold_spec() -> Spec:
    metrics = ["precision", "recall", "F1"]
    return charts.spec(
        charts.chart("threshold", *metrics)
        .transform_fold([*metrics], ["metric", "value"])
        .mark_line(point=charts.TOUCHED)
        .encode(
            x=alt.X("threshold:Q", title="threshold"),
            y=alt.Y("value:Q", title=None, scale=_UNIT, axis=_PERCENT),
            color=alt.Color("metric:N", title=None, sort=metrics),
            strokeDash=alt.StrokeDash("metric:N", legend=None, sort=metrics),
            tooltip=[
                alt.Tooltip("threshold:Q", format=charts.NUMBER),
                alt.Tooltip("metric:N"),
                alt.Tooltip("value:Q", format=charts.SHARE),
            ],
        )
    )


def _roc(curves: Curves, positive: str, negative: str, metrics: Mapping[str, Measure]) -> Figure:
    return Figure(
        f"ROC curve (area {numbers.number(_area(curves, metrics))})",
        _curve_spec("false positive rate", "true positive rate"),
        [_row(point, point.false_positive_rate, point.recall) for point in curves.points()],
        [(0, 0), (1, 1)],
        f"Across: of the rows that are {negative}, those that are called {positive}. Up: of those that are {positive}, "
        f"those that are called so. {_GUESS}.",
    )


def _area(curves: Curves, metrics: Mapping[str, Measure]) -> float | None:
    """Returns the metric that is the area, as tables tell it: the drawn curve has fewer points, and is a little off."""
    drawn = curves.area()
    measured = (metrics.get(name, Measure(value=None))["value"] for name in ("auc (weighted)", "auc"))
    return next((area for area in measured if area is not None and abs(area - (drawn or 0)) < _OFF), drawn)


def _precision_recall(curves: Curves, positive: str) -> Figure:
    share = float(curves.positive.sum() / (curves.positive.sum() + curves.negative.sum()))
    return Figure(
        "Precision against recall",
        _curve_spec("recall", "precision"),
        [_row(point, point.recall, point.precision) for point in curves.points() if point.precision is not None],
        [(0, share), (1, share)],
        f"Across: of the rows that are {positive}, those that are called so. Up: of the rows that are called "
        f"{positive}, those that are. {_GUESS}: {numbers.percentage(share)}.",
    )


def _row(point: Point, x: float | None, y: float | None) -> dict[str, charts.Cell]:
    return {"threshold": point.threshold, "x": x, "y": y}


@cache
def _curve_spec(x: str, y: str) -> Spec:
    curve = (
        charts.chart("threshold", "x", "y")
        .mark_line(point=charts.TOUCHED)
        .encode(
            x=alt.X("x:Q", title=x, scale=_UNIT, axis=_PERCENT),
            y=alt.Y("y:Q", title=y, scale=_UNIT, axis=_PERCENT),
            order=alt.Order("threshold:Q", sort="descending"),
            tooltip=[
                alt.Tooltip("threshold:Q", format=charts.NUMBER),
                alt.Tooltip("x:Q", title=x, format=charts.SHARE),
                alt.Tooltip("y:Q", title=y, format=charts.SHARE),
            ],
        )
    )
    return charts.spec(alt.layer(charts.dashed(), curve))


def _calibration(curves: Curves, positive: str) -> Figure:
    groups = curves.groups()
    return Figure(
        "Calibration",
        _calibration_spec(),
        [{"predicted": group.mean_prediction, "actual": group.positive_share, "rows": group.rows} for group in groups],
        [(0, 0), (1, 1)],
        f"Rows in {len(groups)} groups by their prediction: how many are {positive}, against how many are predicted. "
        "On the dashed line both are the same.",
    )


@cache
def _calibration_spec() -> Spec:
    dots = (
        charts.chart("predicted", "actual", "rows")
        .mark_line(point=alt.OverlayMarkDef(size=50))
        .encode(
            x=alt.X("predicted:Q", title="mean prediction", axis=_PERCENT, scale=_UNIT),
            y=alt.Y("actual:Q", title="actual share", axis=_PERCENT, scale=_UNIT),
            tooltip=[
                alt.Tooltip("predicted:Q", title="mean prediction", format=charts.SHARE),
                alt.Tooltip("actual:Q", title="actual share", format=charts.SHARE),
                alt.Tooltip("rows:Q", format=charts.COUNT),
            ],
        )
    )
    return charts.spec(alt.layer(charts.dashed(), dots))


def _scores(curves: Curves, positive: str, negative: str) -> Figure:
    return Figure(
        "Predictions by actual class",
        _scores_spec(positive, negative),
        [
            {"low": part.low, "high": part.high, "positive": part.positive, "negative": part.negative}
            for part in curves.bins()
        ],
        note="The less the two overlap, the better the model tells the classes apart.",
    )


@cache
def _scores_spec(positive: str, negative: str) -> Spec:
    name = f"datum.kind == 'positive' ? {json.dumps(positive)} : {json.dumps(negative)}"
    legend = alt.Legend(labelLimit=120)
    return charts.spec(
        charts.chart("low", "high", "positive", "negative")
        .transform_fold(["positive", "negative"], ["kind", "share"])
        .transform_calculate(name=name)
        .mark_bar(fillOpacity=0.4)
        .encode(
            x=alt.X("low:Q", title="prediction", bin="binned"),
            x2="high:Q",
            y=alt.Y("share:Q", title="share of the class", stack=None, axis=alt.Axis(format=".0%")),
            color=alt.Color("name:N", title=None, sort=[positive, negative], legend=legend),
            tooltip=[
                alt.Tooltip("name:N", title="class"),
                alt.Tooltip("low:Q", title="from", format=charts.NUMBER),
                alt.Tooltip("high:Q", title="to", format=charts.NUMBER),
                alt.Tooltip("share:Q", title="share of the class", format=charts.SHARE),
            ],
        )
    )

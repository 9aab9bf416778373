"""The figures of a problem with several classes: what is taken for what, and how well each class is recognised."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import altair as alt
import numpy as np
from numpy.typing import NDArray

from penstock.components.evaluator.report import charts
from penstock.components.evaluator.report.charts import MOST_NAMES, Cell, Figure, Spec
from penstock.core.artifacts.evaluation_summary import MulticlassPlot
from penstock.core.text import printable

_MOST_COUNTED = 8  # classes for which each count has room
_SMALLEST_SHARE = 0.0005
_LEGEND = 24  # pixels


class ClassScore(NamedTuple):
    """How well a class is recognised; `precision` is None if it is never predicted, `recall` if it never occurs."""

    name: str
    rows: float
    precision: float | None
    recall: float | None

    @property
    def f1(self) -> float:
        """0 if the class is never recognised."""
        if not self.precision or not self.recall:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def figures(plot: MulticlassPlot, classes: list[str]) -> list[Figure]:
    """Returns the figures of a slice."""
    confusion = np.array(plot["confusion"], float)
    numbered = [str(number) for number in range(len(confusion))]
    names = printable.names(classes, charts.LONGEST_NAME) if len(classes) == len(confusion) else numbered
    return [_matrix(*_largest(confusion, names)), _by_class(scores(confusion, names))]


def scores(confusion: NDArray[np.float64], names: list[str]) -> list[ClassScore]:
    """Returns the classes that occur or are predicted, the one that is recognised worst first."""
    rows, predicted, hits = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
    every = [
        ClassScore(name, float(n), float(hit / p) if p else None, float(hit / n) if n else None)
        for name, n, p, hit in zip(names, rows, predicted, hits, strict=True)
        if n or p
    ]
    return sorted(every, key=lambda score: score.f1)


def _largest(confusion: NDArray[np.float64], names: list[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Returns the matrix of the most frequent classes, the others added up in a last one."""
    if len(names) <= MOST_NAMES:
        return confusion, names
    kept = np.sort(np.argsort(-confusion.sum(axis=1), kind="stable")[: MOST_NAMES - 1])
    group = np.full(len(names), MOST_NAMES - 1)
    group[kept] = np.arange(len(kept))
    matrix = np.zeros((MOST_NAMES, MOST_NAMES))
    np.add.at(matrix, (group[:, None], group[None, :]), confusion)
    return matrix, [*(names[index] for index in kept), f"{len(names) - len(kept)} others"]


def _matrix(confusion: NDArray[np.float64], names: list[str]) -> Figure:
    few = len(names) <= _MOST_COUNTED
    # The names of many classes have room at one side only: across stand their numbers.
    row_names = names if few else [f"{number} · {name}" for number, name in enumerate(names, 1)]
    columns = names if few else [str(number) for number in range(1, len(names) + 1)]
    return Figure(
        "Confusion matrix",
        _matrix_spec(tuple(row_names), tuple(columns), few),
        list(_cells(confusion, names, row_names, columns)),
        note="A row is an actual class: the stronger a cell, the larger the part of the class that is predicted so. "
        "The diagonal is right.",
    )


@cache
def _matrix_spec(row_names: tuple[str, ...], columns: tuple[str, ...], with_counts: bool) -> Spec:
    cells = charts.chart("row", "column", "actual", "predicted", "rows", "share").encode(
        x=alt.X(
            "column:N",
            title="predicted",
            sort=list(columns),
            axis=alt.Axis(labelAngle=-40 if with_counts else 0, labelLimit=90),
        ),
        y=alt.Y("row:N", title="actual", sort=list(row_names), axis=charts.EVERY_NAME),
        tooltip=[
            alt.Tooltip("actual:N"),
            alt.Tooltip("predicted:N"),
            alt.Tooltip("rows:Q", format=charts.COUNT),
            alt.Tooltip("share:Q", title="share of the actual", format=charts.SHARE),
        ],
    )
    chart: charts.Chart = cells.mark_rect().encode(opacity=charts.strength("share"))
    if with_counts:
        chart = alt.layer(chart, cells.mark_text(fontSize=11).encode(text=alt.Text("rows:Q", format=charts.COUNT)))
    return charts.spec(chart, max(charts.HEIGHT, charts.height(len(row_names))))


def _cells(
    confusion: NDArray[np.float64], names: list[str], row_names: list[str], columns: list[str]
) -> Iterator[dict[str, Cell]]:
    """Yields the cells that can be seen, and those of the diagonal, so that no class is missing."""
    totals = confusion.sum(axis=1)
    for row, column in np.ndindex(*confusion.shape):
        share = float(confusion[row, column] / totals[row]) if totals[row] else 0.0
        if share > _SMALLEST_SHARE or row == column:
            yield {
                "row": row_names[row],
                "column": columns[column],
                "actual": names[row],
                "predicted": names[column],
                "rows": float(confusion[row, column]),
                "share": share,
            }


def _by_class(every: list[ClassScore]) -> Figure:
    shown = every[:MOST_NAMES]
    rest = f" The other {len(every) - len(shown)} are better." if len(every) > len(shown) else ""
    return Figure(
        "Precision and recall of each class",
        _by_class_spec(tuple(score.name for score in shown)),
        [
            {"class": score.name, "precision": score.precision, "recall": score.recall, "rows": score.rows}
            for score in shown
        ],
        note="Precision: of the rows that are predicted so, those that are. Recall: of the rows that are, those that "
        f"are predicted so. The class with the lowest F1 comes first.{rest}",
    )


@cache
def _by_class_spec(names: tuple[str, ...]) -> Spec:
    metrics = ["precision", "recall"]
    base = charts.chart("class", *metrics, "rows").encode(
        y=alt.Y("class:N", title=None, sort=list(names), axis=charts.EVERY_NAME)
    )
    share = alt.X("value:Q", title="share", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))
    line = base.mark_rule(color="var(--line)", strokeWidth=3).encode(
        x=alt.X("precision:Q", title="share"), x2="recall:Q"
    )
    dots = (
        base.transform_fold([*metrics], ["metric", "value"])
        .mark_point(size=70, filled=True, opacity=1)
        .encode(
            x=share,
            color=alt.Color("metric:N", title=None, sort=metrics),
            shape=alt.Shape("metric:N", legend=None, sort=metrics),
            tooltip=[
                alt.Tooltip("class:N"),
                alt.Tooltip("metric:N"),
                alt.Tooltip("value:Q", format=charts.SHARE),
                alt.Tooltip("rows:Q", format=charts.COUNT),
            ],
        )
    )
    return charts.spec(alt.layer(line, dots), charts.height(len(names)) + _LEGEND)

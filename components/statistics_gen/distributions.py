"""Charts of how a column is distributed in several groups of rows: splits, or classes of the label."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pyarrow as pa

from penstock.components.statistics_gen import groups
from penstock.core.page import numbers

_BUCKETS = 24
_WHOLE = 40  # whole numbers in so narrow a range have a bucket each
_TAIL = 0.005  # of the values, on each side, that are left out where they would press the others together
_PRESSED = 3.0
_TOP = 7
_LEAST_SHARE = 0.01  # of the most frequent value; below it there is nothing to see
_HEIGHT = 110
_BAR, _BETWEEN, _AXIS = 7, 5, 25  # pixels
_YEARS = (1800, 2200)

Groups = Mapping[str, pa.Table]


def chart(column: str, rows: Groups, is_number: bool) -> tuple[alt.Chart, str] | None:
    """Returns a chart of a column, and what it leaves out in words; None if there is nothing to see.

    Args:
        column: The name of a list column.
        rows: The rows of each group.
        is_number: Whether its values are amounts: a histogram shows them, and bars the most frequent values of others.
    """
    values = {name: _values(table, column) for name, table in rows.items()}
    if is_number:
        return _histogram({name: _numbers(of_group) for name, of_group in values.items()})
    return _frequencies({name: of_group.to_pylist() for name, of_group in values.items()})


def _values(table: pa.Table, column: str) -> pa.Array:
    """Returns the single values of a list column."""
    if column not in table.column_names or pa.types.is_null(table.schema.field(column).type):
        return pa.array([], pa.float64())
    flat = table[column].combine_chunks().flatten()
    return flat if not pa.types.is_null(flat.type) else pa.array([], pa.float64())


def _numbers(values: pa.Array) -> np.ndarray:
    array: np.ndarray = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return np.extract(np.isfinite(array), array)


def _histogram(values: Mapping[str, np.ndarray]) -> tuple[alt.Chart, str] | None:
    pooled = np.concatenate(list(values.values()))
    if len(pooled) == 0 or pooled.min() == pooled.max():
        return None
    edges = _edges(pooled)
    shown = []
    for name, array in values.items():
        shares = np.histogram(array, edges)[0] / max(len(array), 1)
        for low, high, share in zip(edges, edges[1:], shares, strict=False):
            shown.append({"from": low, "to": high, "share": share, "group": name})
        shown.append({"from": edges[-1], "share": 0.0, "group": name})
    outside = float(np.mean((pooled < edges[0]) | (pooled > edges[-1])))
    drawn = (
        alt.Chart(alt.Data(values=shown))
        .mark_area(interpolate="step-after", line={"strokeWidth": 1.5}, opacity=0.15)
        .encode(
            x=alt.X("from:Q", title=None, scale=alt.Scale(domain=[edges[0], edges[-1]], nice=False), axis=_axis(edges)),
            y=alt.Y("share:Q", title=None, stack=None, axis=alt.Axis(format="%", tickCount=3)),
            color=_colour(list(values)),
            tooltip=["group:N", "from:Q", "to:Q", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(height=_HEIGHT)
    )
    return drawn, f"{numbers.percentage(outside)} lie beyond" if outside else ""


def _edges(values: np.ndarray) -> list[float]:
    """Returns the bounds of the buckets: whole numbers have one each, and a few far values do not press the others."""
    low, high = float(values.min()), float(values.max())
    near_low, near_high = map(float, np.quantile(values, [_TAIL, 1 - _TAIL]))
    if near_high > near_low and high - low > _PRESSED * (near_high - near_low):
        low, high = near_low, near_high
    if (values == np.round(values)).all() and high - low <= _WHOLE:
        return [edge - 0.5 for edge in range(math.floor(low), math.ceil(high) + 2)]
    return [float(edge) for edge in np.linspace(low, high, _BUCKETS + 1)]


def _axis(edges: list[float]) -> alt.Axis:
    """Returns the axis of a histogram: where whole numbers have a bucket each, it names no others."""
    if not (edges[0] + 0.5).is_integer() or edges[1] - edges[0] != 1:
        return alt.Axis(grid=False)
    years = _YEARS[0] <= edges[0] and edges[-1] <= _YEARS[1]
    return alt.Axis(grid=False, tickMinStep=1, format="d" if years else numbers.D3_COUNT)


def _frequencies(values: Mapping[str, Sequence[Any]]) -> tuple[alt.Chart, str] | None:
    counted = {name: Counter(map(groups.text, of_group)) for name, of_group in values.items()}
    pooled = sum(counted.values(), Counter[str]())
    top = [value for value, _ in pooled.most_common(_TOP)]
    if not top or pooled[top[0]] < _LEAST_SHARE * pooled.total() or pooled[top[0]] == 1:
        return None
    titles = groups.names(top)
    shown = [
        {"value": title, "share": counts[value] / max(counts.total(), 1), "group": name}
        for name, counts in counted.items()
        for title, value in zip(titles, top, strict=True)
    ]
    drawn = (
        alt.Chart(alt.Data(values=shown))
        .mark_bar()
        .encode(
            y=alt.Y("value:N", title=None, sort=titles, axis=alt.Axis(labelLimit=130, ticks=False, labelOverlap=False)),
            yOffset=alt.YOffset("group:N", sort=list(values)),
            x=alt.X("share:Q", title=None, axis=alt.Axis(format="%", tickCount=3)),
            color=_colour(list(values)),
            tooltip=["group:N", "value:N", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(height=_AXIS + len(top) * (_BETWEEN + max(_BAR * len(values), 2 * _BAR)))
    )
    rest = 1 - sum(pooled[value] for value in top) / pooled.total()
    more = f"{len(pooled) - len(top):,} more values are {numbers.percentage(rest)}" if len(pooled) > len(top) else ""
    return drawn, more


def _colour(names: list[str]) -> alt.Color:
    return alt.Color("group:N", scale=alt.Scale(domain=names), legend=None)  # one for all charts: page.legend

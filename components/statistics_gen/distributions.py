"""Charts of how a column is distributed in several groups of rows: splits, or classes of the label."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import altair as alt
import numpy as np
import pyarrow as pa

from penstock.components.statistics_gen import groups, moments
from penstock.core.page import numbers

_BUCKETS = 24
_WHOLE = 40  # whole numbers in so narrow a range have a bucket each
_TAIL = 0.005  # of the values, on each side, that are left out where they would press the others together
_PRESSED = 3.0
_TOP = 7
_LEAST_SHARE = 0.01  # of the most frequent value; below it there is nothing to see
_HEIGHT = 110
_BAR, _BETWEEN, _AXIS = 7, 5, 25  # pixels
_DAY = 86400  # seconds
_START = datetime(1970, 1, 1)
_LAST_DAY = (datetime.max - _START).days * _DAY  # 31 December 9999, which stands for "never" in many tables

Groups = Mapping[str, pa.Table]


def chart(column: str, rows: Groups, is_number: bool) -> tuple[alt.Chart, str] | None:
    """Returns a chart of a column, and what it leaves out in words; None if there is nothing to see.

    Args:
        column: The name of a list column.
        rows: The rows of each group.
        is_number: Whether its values are amounts: a histogram shows them, and bars the most frequent values of others.
    """
    values = {name: _values(table, column) for name, table in rows.items()}
    if dates := moments.of(column, values):
        return _moments(dates, sum(map(len, values.values())))
    if is_number:
        return _amounts({name: _numbers(of_group) for name, of_group in values.items()})
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


def _amounts(values: Mapping[str, np.ndarray]) -> tuple[alt.Chart, str] | None:
    pooled = np.concatenate(list(values.values()))
    if len(pooled) == 0 or pooled.min() == pooled.max():
        return None
    edges = _edges(pooled)
    scale = alt.Scale(domain=[edges[0], edges[-1]], nice=False)
    place = alt.X("from:Q", title=None, scale=scale, axis=_axis(edges, pooled))
    outside = float(np.mean((pooled < edges[0]) | (pooled > edges[-1])))
    drawn = _histogram(_shares(values, edges), list(values), place, [alt.Tooltip("from:Q"), alt.Tooltip("to:Q")])
    return drawn, f"{numbers.percentage(outside)} lie beyond" if outside else ""


def _moments(values: Mapping[str, np.ndarray], count: int) -> tuple[alt.Chart, str] | None:
    """Returns a chart of dates, in seconds since 1970; `count` is of all values, with those that are no dates."""
    pooled = np.concatenate(list(values.values()))
    if len(pooled) == 0 or pooled.min() == pooled.max():
        return None
    edges = _ends_of_days(pooled)
    rows = [
        row | {"from": 1000 * row["from"], "first": _date(row["from"]), "last": _date(row["to"])}
        for row in _shares(values, edges)
    ]
    scale = alt.Scale(type="utc", nice=False)  # from the first edge to the last: a domain of numbers is not understood
    place = alt.X("from:T", title=None, scale=scale, axis=alt.Axis(grid=False, tickCount=4))
    tooltips = [alt.Tooltip("first:N", title="from"), alt.Tooltip("last:N", title="to")]
    drawn = _histogram(rows, list(values), place, tooltips)
    return drawn, f"{count - len(pooled):,} are no dates" if count > len(pooled) else ""


def _shares(values: Mapping[str, np.ndarray], edges: list[float]) -> list[dict[str, Any]]:
    """Returns the share of each group's values in each bucket, and at the end of the last one none."""
    rows: list[dict[str, Any]] = []
    for name, array in values.items():
        shares = [*(np.histogram(array, edges)[0] / max(len(array), 1)), 0.0]
        for low, high, share in zip(edges, [*edges[1:], edges[-1]], shares, strict=True):
            rows.append({"from": low, "to": high, "share": float(share), "group": name})
    return rows


def _histogram(rows: list[dict[str, Any]], names: list[str], place: alt.X, tooltips: list[alt.Tooltip]) -> alt.Chart:
    chart: alt.Chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_area(interpolate="step-after", line={"strokeWidth": 1.5}, opacity=0.15)
        .encode(
            x=place,
            y=alt.Y("share:Q", title=None, stack=None, axis=alt.Axis(format="%", tickCount=3)),
            color=_colour(names),
            tooltip=["group:N", *tooltips, alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(height=_HEIGHT)
    )
    return chart


def _edges(values: np.ndarray) -> list[float]:
    """Returns the bounds of the buckets: whole numbers have one each, and a few far values do not press the others."""
    low, high = float(values.min()), float(values.max())
    near_low, near_high = map(float, np.quantile(values, [_TAIL, 1 - _TAIL]))
    if near_high > near_low and high - low > _PRESSED * (near_high - near_low):
        low, high = near_low, near_high
    if (values == np.round(values)).all() and high - low <= _WHOLE:
        return [edge - 0.5 for edge in range(math.floor(low), math.ceil(high) + 2)]
    return [float(edge) for edge in np.linspace(low, high, _BUCKETS + 1)]


def _ends_of_days(seconds: np.ndarray) -> list[float]:
    """Returns the bounds of the buckets: where no moment has a time of day, or they are of many days, of whole days."""
    low, high = float(seconds.min()), float(seconds.max())
    if (seconds % _DAY).any() and high - low < _BUCKETS * _DAY:
        return [float(edge) for edge in np.linspace(low, high, _BUCKETS + 1)]
    first, last = low // _DAY, high // _DAY + 1
    days = math.ceil((last - first) / _BUCKETS)
    return [_DAY * (first + days * place) for place in range(math.ceil((last - first) / days) + 1)]


def _date(seconds: float) -> str:
    """Returns a moment in words; the last day that datetime knows for what is later, as the end of a bucket may be."""
    if seconds >= _LAST_DAY + _DAY:
        seconds = _LAST_DAY
    moment = _START + timedelta(seconds=seconds)
    return numbers.date(moment) if seconds % _DAY else numbers.day(moment)


def _axis(edges: list[float], values: np.ndarray) -> alt.Axis:
    """Returns the axis of a histogram: where whole numbers have a bucket each, it names no others."""
    years = numbers.are_years(values.min(), values.max()) and bool((values == np.round(values)).all())
    if not (edges[0] + 0.5).is_integer() or edges[1] - edges[0] != 1:
        return alt.Axis(grid=False, tickMinStep=1, format=numbers.D3_UNGROUPED) if years else alt.Axis(grid=False)
    return alt.Axis(grid=False, tickMinStep=1, format=numbers.D3_UNGROUPED if years else numbers.D3_COUNT)


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

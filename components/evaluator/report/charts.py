"""What the charts of an evaluation share: a title that says what is seen, and data apart from it.

Altair takes some 20 ms to make a chart, and plots there are of every slice. So a chart is made once, of data that is
only named (`ROWS`, `LINE`), and each slice adds its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import altair as alt

from penstock.core import page
from penstock.core.page import numbers
from penstock.core.page.charts import specification

HEIGHT = 250  # pixels, of a chart with two axes
_ROW, _LINE_HEIGHT, _AXIS = 18, 13, 42  # pixels, of a chart with a row for each name
MOST_NAMES = 30
MUTED = "var(--muted)"
NUMBER, SHARE, COUNT = numbers.D3_NUMBER, numbers.D3_SHARE, numbers.D3_COUNT
TOUCHED = alt.OverlayMarkDef(opacity=0, size=80)  # points of a line that the pointer finds, and nobody sees
LONGEST_NAME = 26  # characters, for which an axis of names has room
NAMES_WIDTH = 180  # pixels, of such an axis
EVERY_NAME = alt.Axis(labelOverlap=False, labelLimit=NAMES_WIDTH)
_ROWS, _LINE = "rows", "line"
type Cell = float | str | None
type Chart = alt.Chart | alt.LayerChart | alt.FacetChart  # what alt.layer returns
type Spec = dict[str, Any]  # Vega-Lite's JSON


@dataclass(frozen=True)
class Figure:
    """A chart, what it shows, and how it is read. `line` is what `dashed` draws."""

    title: str
    spec: Spec
    rows: Sequence[Mapping[str, Cell]]
    line: Sequence[tuple[float, float]] = ()
    note: str = ""

    def html(self) -> str:
        return f"<section><h4>{escape(self.title)}</h4>{page.chart(self.with_data(), self.note)}</section>"

    def with_data(self) -> Spec:
        """Returns the specification with its data: rows column by column, which takes a third of the room."""
        columns = {name: [row[name] for row in self.rows] for name in self.rows[0]} if self.rows else {}
        datasets = {_ROWS: [columns] if columns else [], _LINE: [{"x": x, "y": y} for x, y in self.line]}
        return self.spec | {"datasets": datasets}


def grid(figures: Sequence[Figure]) -> str:
    """Returns figures beside each other where there is room: two in a row if there are no more, else three."""
    kind = "plots two" if len(figures) <= 2 else "plots"
    return f'<div class="{kind}">{"".join(figure.html() for figure in figures)}</div>'


def spec(chart: Chart, height: int = HEIGHT) -> Spec:
    """Returns the specification of a chart without its data."""
    return specification(chart.properties(height=height))


def height(rows: int, lines: int = 1) -> int:
    """Returns how high a chart is that has a row for each name, of so many lines."""
    return (_ROW + _LINE_HEIGHT * (lines - 1)) * rows + _AXIS


def chart(*columns: str) -> alt.Chart:
    """Returns a chart of a figure's rows, which have these columns."""
    return alt.Chart(alt.NamedData(name=_ROWS)).transform_flatten(list(columns))


def dashed() -> alt.Chart:
    """Returns a figure's line to compare with."""
    mark = alt.MarkDef("line", strokeDash=[4, 4], strokeWidth=1, color=MUTED)
    return alt.Chart(alt.NamedData(name=_LINE), mark=mark).encode(x="x:Q", y="y:Q")


def rule() -> alt.Chart:
    """Returns a vertical line through the whole chart, where the figure's line begins."""
    mark = alt.MarkDef("rule", strokeDash=[4, 4], color=MUTED)
    return alt.Chart(alt.NamedData(name=_LINE), mark=mark).encode(x="x:Q")


def strength(column: str) -> alt.Opacity:
    """Shows a share from 0 to 1 by how strong a colour is, such that text on it can be read."""
    return alt.Opacity(f"{column}:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.6]), legend=None)

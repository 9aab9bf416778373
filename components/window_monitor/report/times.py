"""Windows along an axis of time: in UTC, as the page says, whatever clock the reader's browser has."""

from datetime import UTC, datetime

import altair as alt

from penstock.core.page import numbers

_DAY, _CLOCK = "%d %b", "%H:%M"
_FORMATS = {
    "year": "%Y",
    "quarter": "%b %Y",
    "month": "%b %Y",
    "week": _DAY,
    "date": _DAY,
    "hours": _CLOCK,
    "minutes": _CLOCK,
    "seconds": "%H:%M:%S",
    "milliseconds": "%H:%M:%S",
}
X = alt.X("end:T", title=None, axis=alt.Axis(grid=False, tickCount=4, format=_FORMATS), scale=alt.Scale(type="utc"))
TOOLTIP = alt.Tooltip("window:N", title="window to")


def place(end: str) -> dict[str, int | str]:
    """Returns where a window that ends at a moment is on the axis, and its end in words.

    Milliseconds are whole, since of fractions charts keep a few digits alone.
    """
    moment = datetime.fromisoformat(end).astimezone(UTC)
    return {"end": round(moment.timestamp() * 1000), "window": f"{numbers.date(moment)} UTC"}

"""Numbers and times as people write them, in pages and on terminals.

Three significant digits, thousands separated; shares as percentages; durations and dates in words. What is not known is
"", what is not a number is "n/a". For charts: d3 formats that agree.
"""

import math
from datetime import datetime, timedelta

D3_COUNT = ",d"
D3_UNGROUPED = "d"
D3_NUMBER = ",.3~r"
D3_SHARE = ".1~%"

_SMALL, _LARGE = 1e-6, 1e15  # beyond them the exponent is told
_NOT_A_NUMBER = "n/a"
_YEARS = (1800, 2200)
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_FEW = timedelta(minutes=10)


def count(number: int | None) -> str:
    """Returns a number of things: `1,234,567`."""
    return "" if number is None else f"{number:,}"


def number(value: float | None, digits: int = 3, grouped: bool = True) -> str:
    """Returns a measured number with so many significant digits: `0.873`, `68,100`, `1.2e-09`.

    Without `grouped` there are no separators between thousands, as in years.
    """
    if value is None:
        return ""
    if not math.isfinite(value):
        return _NOT_A_NUMBER if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value and not _SMALL <= abs(value) < _LARGE:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{exponent}"
    rounded = float(f"{value:.{digits}g}")
    decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0) if rounded else 0
    text = f"{rounded:{',' if grouped else ''}.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def are_years(least: float, greatest: float) -> bool:
    """Whether whole numbers from `least` to `greatest` are taken for years, whose thousands nobody separates."""
    return _YEARS[0] <= least <= greatest <= _YEARS[1]


def difference(value: float | None, digits: int = 3) -> str:
    """Returns a change with its sign: `+0.012`."""
    return f"+{number(value, digits)}" if value is not None and value > 0 else number(value, digits)


def percentage(share: float | None) -> str:
    """Returns a share as a percentage: `87.3%`. Only all is 100%, and only none is 0%."""
    if share is None or not math.isfinite(share):
        return number(share)
    if 0 < share < 0.0005:
        return "<0.1%" if share >= 0.00005 else "<0.01%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{number(100 * share)}%"


def duration(seconds: float | None) -> str:
    """Returns how long something took: `0.42 s`, `2.4 s`, `3 min 12 s`, `2 h 5 min`, `3 days 4 h`."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    whole = round(seconds / _MINUTE) * _MINUTE
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    whole = round(seconds / _HOUR) * _HOUR
    return _two(whole, _DAY, "day" if whole < 2 * _DAY else "days", _HOUR, "h")


def date(moment: datetime) -> str:
    """Returns a moment in words: `30 November 2026, 14:05`."""
    return f"{day(moment)}, {moment:%H:%M}"


def period(begin: datetime, end: datetime) -> str:
    """Returns `30 November 2026, 14:05 to 1 December 2026, 14:05`; with seconds, if less than ten minutes pass."""
    if end - begin >= _FEW:
        return f"{date(begin)} to {date(end)}"
    return f"{date(begin)}:{begin:%S} to {date(end)}:{end:%S}"


def day(moment: datetime) -> str:
    """Returns a day in words: `30 November 2026`."""
    return f"{moment.day} {moment:%B %Y}"


def _two(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    first, rest = divmod(whole, large)
    return f"{first} {large_name}" + (f" {rest // small} {small_name}" if rest >= small else "")

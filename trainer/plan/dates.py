"""How moments are written: formats as regular expressions that Python and RE2, TensorFlow's, both read, and numbers.

A format is `iso` (2013-01-31) or strptime's, of %Y %y %m %b %B %d %H %I %M %S %p and literal text; %b and %B are a
month's English name, in full or its first three letters. Where it says nothing of a time, one may follow: 8:05,
T08:05:30.5Z, 8:05 PM. A zone is read and not converted. Numbers count since 1970: `unix` (seconds), unix_ms, unix_us
and unix_ns.
"""

import datetime
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.core.errors import ConfigError

UNITS = {"unix": 1, "unix_ms": 10**3, "unix_us": 10**6, "unix_ns": 10**9}  # in a second
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
COMPACT = "%Y%m%d"  # what whole numbers may be as well: 20130131
PLAUSIBLE = (1990, 2100)  # years of numbers that are moments, the second excluded
_OF_TIME = re.compile(r"(?i)time|date|(?:^|[_.\s-])(?:ts|at|on|when|epoch|day)$|(?<=[a-z])(?-i:At|On|Ts|Day|TS)$")
_START = datetime.datetime(1970, 1, 1)

_ZONE = r"\s*(?:Z|UTC|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
_HALF = r"[AaPp]\.?[Mm]\.?"
_TIME = rf"(?:(?:T|,?\s+)(\d{{1,2}}):(\d{{2}})(?::(\d{{2}})(?:[.,]\d+)?)?\s*({_HALF})?{_ZONE})?"
_NUMBERS = "mdHIMS"  # of one figure or two; of two where nothing stands between them and their neighbours
_MONTH = "[A-Za-z]{3,9}"
_DIRECTIVES = {"Y": r"\d{4}", "y": r"\d{2}", "b": _MONTH, "B": _MONTH, "p": _HALF} | dict.fromkeys(_NUMBERS, r"\d{1,2}")
# The likeliest first: of two that read the same values the first is taken.
_RECOGNISED = (
    "iso", "%Y/%m/%d", "%Y.%m.%d", COMPACT, "%d.%m.%Y", "%m.%d.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y",
    "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d-%b-%y", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y",
)  # fmt: skip
_OF_VERSIONS = ("%d.%m.%y",)  # 10.4.11 is none, or a date only beside others like it
_SAMPLE = 200  # values
FEW = 3  # values such as NA that are no dates
_PADDED = re.compile(r"\s*\d\d\.\d\d\.\d\d\b", re.ASCII)
_LIKE = re.compile(r"\s*\d{1,4}([-/.])\d{1,2}\1\d{1,4}\b.*", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Written:
    """How a column's dates are written.

    `other` is another format that reads them all, as the day and the month may be exchanged; "" where there is none,
    or where the dots say that the day is first. `unread` are the few values that are no dates.
    """

    format: str
    other: str = ""
    unread: tuple[str, ...] = ()


def pattern(form: str) -> tuple[str, dict[str, int]]:
    """Returns what matches a whole date of this format, and the group of each of its parts: Y y m b d H M S p.

    A ConfigError for what a format may not hold.
    """
    expression, places = "", dict[str, int]()
    directives = "%Y-%m-%d" if form == "iso" else form
    for part in re.finditer(r"([^%]+)|%(.?)", directives, re.DOTALL):
        literal, letter = part.groups()
        place = {"I": "H", "B": "b"}.get(letter, letter)
        if letter in _DIRECTIVES and place not in places:
            places[place] = len(places) + 1
            close = directives[: part.start()][-2:-1] == "%" or directives[part.end() :][:1] == "%"
            expression += r"(\d{2})" if close and letter in _NUMBERS else f"({_DIRECTIVES[letter]})"
        elif literal or letter == "%":
            expression += re.escape(literal or "%")
        else:
            raise ConfigError(
                f"format: expected some of %Y %y %m %b %d %H %I %M %S %p, once each, received %{letter} in {form!r}"
            )
    if not {"Y", "y"} & set(places):
        raise ConfigError(f"format: expected iso, unix, or %Y with others such as %d/%m/%Y, received {form!r}")
    if not {"H", "M", "S"} & set(places):
        expression += _TIME
        places |= {letter: len(places) + number for number, letter in enumerate("HMSp", 1)}
    return rf"\s*{expression}\s*", places


def read(text: str, form: str) -> datetime.datetime | None:
    """Returns the moment that a text tells, None if it is none of this format."""
    return reader(form)(text)


def reader(form: str) -> Callable[[str], datetime.datetime | None]:
    """Returns what reads many texts of a format, as `read` does one."""
    expression, places = pattern(form)
    compiled = re.compile(expression, re.ASCII)
    return lambda text: _moment(compiled.fullmatch(text), places)


def written(values: Sequence[str]) -> Written | None:
    """Returns the format that reads these values, all but three at most of many; None if there is none."""
    texts = [value for value in values if value.strip()]
    candidates = {}
    for form in _RECOGNISED:
        expression, places = pattern(form)
        compiled = re.compile(expression, re.ASCII)
        if form in _OF_VERSIONS and not all(map(_PADDED.match, texts)):
            continue
        if 2 * sum(compiled.fullmatch(text) is not None for text in texts[:20]) > len(texts[:20]):
            candidates[form] = {text: _moment(compiled.fullmatch(text), places) for text in texts}
    counts = {form: sum(moment is not None for moment in moments.values()) for form, moments in candidates.items()}
    form = max(counts, key=lambda name: counts[name], default="")
    if not form:
        return None
    unread = tuple(text for text, moment in candidates[form].items() if moment is None)
    if len(unread) > FEW or len(texts) < 10 * len(unread):
        return None
    also = [name for name in counts if name != form and counts[name] == counts[form] and "." not in name]
    return Written(form, also[0] if also else "", unread)


@dataclass(frozen=True)
class Mixed:
    """Two formats of dates in a column: the one that reads most values, and one with the values that it alone reads."""

    format: str
    other: str
    others: tuple[str, ...]


def mixed(values: Sequence[str]) -> Mixed | None:
    """Returns two formats that read these values together, all but a few; None if one does, or it takes more."""
    texts = [value for value in values if value.strip()]
    form, rest = _most_read(texts)
    other, unread = _most_read(rest)
    if not form or not other or len(unread) > FEW or len(texts) < 10 * len(unread):
        return None
    return Mixed(form, other, tuple(text for text in rest if text not in set(unread)))


def _most_read(texts: Sequence[str]) -> tuple[str, list[str]]:
    """Returns the format that reads most texts, "" if none reads any, and the texts that it does not read."""
    some = texts[:: max(1, len(texts) // _SAMPLE)]
    counts = {form: sum(map(bool, map(reader(form), some))) for form in _RECOGNISED if form not in _OF_VERSIONS}
    form = max(counts, key=lambda name: counts[name])
    if not counts[form]:
        return "", list(texts)
    read_one = reader(form)
    return form, [text for text in texts if read_one(text) is None]


def alike(values: Sequence[str]) -> bool:
    """Whether all values look like dates, whatever their format."""
    return bool(values) and all(_LIKE.fullmatch(value) for value in values)


def names_time(column: str) -> bool:
    """Whether a column's name says that its numbers are moments: created_at, orderDate."""
    return _OF_TIME.search(column) is not None


def unit(least: float, greatest: float) -> str:
    """Returns the format of whole numbers from `least` to `greatest` that are moments of plausible years, or ""."""
    first, last = (seconds(datetime.datetime(year, 1, 1)) for year in PLAUSIBLE)
    for form, second in UNITS.items():
        if first * second <= least and greatest < last * second:
            return form
    days = (read(f"{int(number)}", COMPACT) for number in (least, greatest))
    plausible = all(day is not None and PLAUSIBLE[0] <= day.year < PLAUSIBLE[1] for day in days)
    return COMPACT if plausible else ""


def from_number(number: float, form: str) -> datetime.datetime:
    """Returns the moment of a whole number that `unit` found to be one."""
    if form == COMPACT:
        return datetime.datetime.strptime(f"{int(number)}", COMPACT)
    return _START + datetime.timedelta(seconds=int(number) // UNITS[form])


def seconds(moment: datetime.datetime) -> int:
    """Returns the seconds from 1970, of the clock that people read."""
    return int((moment - _START).total_seconds())


def _moment(match: re.Match[str] | None, places: dict[str, int]) -> datetime.datetime | None:
    if match is None:
        return None
    part = {letter: match[group] for letter, group in places.items() if match[group]}
    year = int(part["Y"]) if "Y" in part else int(part["y"]) + (1900 if int(part["y"]) >= 69 else 2000)
    name = part.get("b", "jan").lower()[:3]
    hour, minute, second = (int(part.get(letter, 0)) for letter in "HMS")
    if hour > 24 or minute > 59 or second > 60 or name not in MONTHS:
        return None
    if "p" in part and hour <= 12:
        hour = hour % 12 + (12 if part["p"][0] in "Pp" else 0)
    try:
        day = datetime.datetime(year, int(part.get("m", MONTHS.index(name) + 1)), int(part.get("d", 1)))
        return day + datetime.timedelta(hours=hour, minutes=minute, seconds=second)
    except (ValueError, OverflowError):
        return None

"""The numbers of spans, and the dates that they stand for where a pattern has dates: days since 1970-01-01, as in TFX.

Standard library only, because configurations are checked here as well.
"""

import datetime
import re
from collections.abc import Iterable, Mapping

_EPOCH = datetime.date(1970, 1, 1)
_LAST_DAY = (datetime.date.max - _EPOCH).days
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_FIRST_SHOWN, _LAST_SHOWN = 3, 4  # of a long list


def of_date(year: int, month: int, day: int) -> int | None:
    """Returns the span of a date; None if there is no such date."""
    try:
        return (datetime.date(year, month, day) - _EPOCH).days
    except ValueError:
        return None


def of_text(text: str) -> int | None:
    """Returns the span of a date that is written as 2026-01-31; None for any other text."""
    return of_date(*map(int, text.split("-"))) if _ISO.fullmatch(text) else None


def of_digits(number: int) -> int | None:
    """Returns the span of a date that is written as the number 20260131; None if that is a span itself, or no date."""
    return of_date(number // 10_000, number // 100 % 100, number % 100) if number > _LAST_DAY else None


def text(span: int, dated: bool) -> str:
    """Returns a span as a person knows it: its date, or its number."""
    try:
        return (_EPOCH + datetime.timedelta(span)).isoformat() if dated else str(span)
    except OverflowError:  # a range may begin before the first date that there is, or end after the last
        return f"day {span}"


def listed(spans: Iterable[int], dated: bool) -> str:
    """Returns spans as text, three and more that follow one another as one part: "1 to 3, 7, 8"."""
    return described(dict.fromkeys(spans, 0), dated, versioned=False)


def described(versions: Mapping[int, int], dated: bool, versioned: bool) -> str:
    """Returns the version of each span as text: "2026-01-29 to 2026-01-31 (version 2), 2026-02-02 (version 1)".

    Of a long list the first and the last are named, and how many there are between them.
    """
    ranges: list[list[int]] = []
    for span in sorted(versions):
        if ranges and span == ranges[-1][-1] + 1 and versions[span] == versions[ranges[-1][0]]:
            ranges[-1].append(span)
        else:
            ranges.append([span])
    between = ranges[_FIRST_SHOWN : len(ranges) - _LAST_SHOWN]
    if len(between) < 2:
        return ", ".join(_range(spans, versions, dated, versioned) for spans in ranges)
    first = [_range(spans, versions, dated, versioned) for spans in ranges[:_FIRST_SHOWN]]
    last = [_range(spans, versions, dated, versioned) for spans in ranges[-_LAST_SHOWN:]]
    return ", ".join([*first, f"{sum(map(len, between)):,} more", *last])


def _range(spans: list[int], versions: Mapping[int, int], dated: bool, versioned: bool) -> str:
    version = f" (version {versions[spans[0]]})" if versioned else ""
    if len(spans) > 2:
        return f"{text(spans[0], dated)} to {text(spans[-1], dated)}{version}"
    return ", ".join(text(span, dated) + version for span in spans)

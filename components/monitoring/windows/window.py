"""A window of time: from its begin on, and before its end."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from penstock.core.errors import ConfigError

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(minutes=5)  # as far as another machine's clock may be ahead of this one
EXPECTED = "a number and a unit, such as 30m, 6h, 1d or 2w"
_MOMENT = "a date or time, such as 2026-11-30 or 2026-11-30T06:00+01:00 (without an offset it is UTC)"


@dataclass(frozen=True)
class Window:
    """The moments from `begin` on and before `end`, in UTC."""

    begin: datetime
    end: datetime

    @classmethod
    def of(cls, length: str, begin: str = "", end: str = "", now: datetime | None = None) -> Self:
        """Returns the window of a length that begins or ends at a moment; without either it ends now.

        One that begins ends now at the latest. With both moments the length does not count. Raises a ConfigError for
        what is no length or moment, for a window that ends before it begins or is not over, and for one of years in
        which no server has logged a request.
        """
        now = now or datetime.now(UTC)
        try:
            window = cls._of(length, begin, end, now.replace(microsecond=0))
        except OverflowError:  # there is no such year
            window = None
        if window is None or window.begin < _EARLIEST or window.end > _LATEST:
            asked = " ".join(f"{name} {text!r}" for name, text in (("begin", begin), ("end", end)) if text)
            raise ConfigError(
                f"window: expected times from {_EARLIEST.year} to {_LATEST.year}, received {length!r} {asked}".rstrip()
            )
        if window.begin >= window.end:
            raise ConfigError(f"window: expected an end after {window.begin.isoformat()}, received {end}")
        if window.end > now + _AHEAD:
            raise ConfigError(
                f"window: expected one that is over, as the alerts of a later one hold up those of all before its end; "
                f"received {f'end {end!r}' if end else f'begin {begin!r}'}, and it is {now:%Y-%m-%dT%H:%M} (UTC)"
            )
        return window

    @classmethod
    def _of(cls, length: str, begin: str, end: str, now: datetime) -> Self:
        if begin and end:
            return cls(moment("begin", begin), moment("end", end))
        if begin:
            first, last = moment("begin", begin), moment("begin", begin) + duration(length)
            return cls(first, min(last, now) if first < now else last)
        last = moment("end", end) if end else now
        return cls(last - duration(length), last)


def duration(text: str) -> timedelta:
    """Returns how long `6h` or `1d` is; a ConfigError for anything else."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"window: expected {EXPECTED}, received {text!r}")
    return int(match[1]) * _UNITS[match[2]]


def moment(name: str, text: str) -> datetime:
    """Returns the moment that a person has written; a ConfigError, with `name`, if it is none."""
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f"{name}: expected {_MOMENT}, received {text!r}") from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)

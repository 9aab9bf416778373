"""Cron expressions, checked before anything is sent: a server takes some that never fire, or tells no field's name.

The grammar is robfig/cron's, which Kubeflow Pipelines parses with: a field is a list of `*`, numbers, names and ranges,
each with a step or without. Vertex AI's has the same fields but for the seconds, and counts Sunday as 7 as well.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.core.errors import ConfigError

_PIECE = re.compile(r"(?:[*?]|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", re.ASCII)


@dataclass(frozen=True)
class Field:
    """A field: its name, its smallest and largest number, and the names that stand for numbers from the smallest on."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def numbers(self, piece: str) -> range:
        """Returns what one part of a list stands for; nothing where it is no value of this field."""
        match = _PIECE.fullmatch(piece)
        step = int(match["step"] or 1) if match else 0
        if not match or step == 0:
            return range(0)
        if match["first"] is None:
            return range(self.low, self.high + 1, step)
        first = self._number(match["first"])
        last = self._number(match["last"]) if match["last"] else self.high if match["step"] else first
        return range(first, last + 1, step) if self.low <= first <= last <= self.high else range(0)

    @property
    def words(self) -> str:
        """The numbers and names that a field takes, as a message says them."""
        names = f" or {self.names[0].upper()} to {self.names[-1].upper()}" if self.names else ""
        return f"{self.low} to {self.high}{names}"

    def _number(self, text: str) -> int:
        if text.lower() in self.names:
            return self.low + self.names.index(text.lower())
        return int(text) if text.isdecimal() else -1


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_COMMON = (Field("minute", 0, 59), Field("hour", 0, 23), Field("day", 1, 31), Field("month", 1, 12, _MONTHS))
FIVE_FIELDS = (*_COMMON, Field("weekday", 0, 7, _DAYS))
SIX_FIELDS = (Field("second", 0, 59), *_COMMON, Field("weekday", 0, 6, _DAYS))
# The shorthands of other crons, which the messages write out.
SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def names(fields: Sequence[Field]) -> str:
    """Returns the fields' names in their order, as a message lists them."""
    return " ".join(field.name for field in fields)


def check(expression: str, fields: Sequence[Field]) -> None:
    """Raises a ConfigError that names the first field with a value that it cannot have, or days that never come.

    The expression has as many fields as `fields`.
    """
    for field, text in zip(fields, expression.split(), strict=True):
        for piece in text.split(","):
            if not field.numbers(piece):
                raise ConfigError(
                    f"--cron {expression!r}: {field.name}: expected {field.words}, *, a range (1-5), a step (*/5) or a "
                    f"list of them (1,5), received {piece!r}"
                )
    _require_a_day(expression, fields)


def _require_a_day(expression: str, fields: Sequence[Field]) -> None:
    """Refuses the days that none of the months has. With a weekday as well, either of them is enough."""
    texts = {field.name: text for field, text in zip(fields, expression.split(), strict=True)}
    numbers = {
        field.name: {number for piece in texts[field.name].split(",") for number in field.numbers(piece)}
        for field in fields
    }
    any_weekday = {"*", "?"} & set(texts["weekday"].split(","))
    if any_weekday and min(numbers["day"]) > max(_LONGEST[month - 1] for month in numbers["month"]):
        raise ConfigError(
            f"--cron {expression!r}: it would never fire: month {texts['month']} has no day {texts['day']}"
        )

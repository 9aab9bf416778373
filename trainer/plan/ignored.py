"""Which columns tell a model nothing: those without values, those with one alone, and keys."""

import re

from penstock.core.statistics.distinct_count import SAMPLE
from penstock.trainer.plan.columns import Column

_MOST_POSITIONS = 256
_SOME_ROWS = 20
_NEARLY = 0.9  # of a key's integers differ
_BY_CHANCE = 10  # that would be there again, if chance had its way, to each that is
_CHANCE = 100  # integers from which on chance does not make all of them differ
_NEAR = 4  # so many times as wide apart: every ninth of them would meet another one
_OF_KEYS = re.compile(r"(?i)(?:^|[_.\s-])(?:id|key|uid|uuid|guid|hash)$|(?<=[a-z])(?-i:Id|ID|Key|Hash)$")
# One for each row, and yet more than its number.
_OF_ORDER = re.compile(
    r"(?i)year|month|week|day|hour|minute|second|time|date|stamp|epoch|elapsed|period|step|rank|cumul"
)


def why(column: Column, kind: str | None, taken_for: str) -> str:
    """Returns why a column tells nothing, "" if it may.

    `kind` is what a person says of it, who is believed where there are values; `taken_for` what the rules find.
    """
    if column.unreadable:
        return column.unreadable
    if column.sparse_size:
        return ""
    if not column.values:
        return f"it has no value in any row{_of_the_split(column)}"
    if kind:
        return ""
    if column.constant and column.present == column.rows:
        return f"it is {column.constant} in every row{_of_the_split(column)}"
    if column.fixed > _MOST_POSITIONS and column.is_number:
        return f"it has {column.fixed} numbers in every row: expected {_MOST_POSITIONS} at most without a module_file"
    return _key(column, taken_for)


def is_key(column: Column) -> bool:
    """Whether a column's numbers are integers that differ as those of keys do, and not as a measure's.

    Nearly all of them differ, and they are called keys, or lie close, or have less in common than chance would have it.
    """
    nearly = column.distinct >= _NEARLY * column.values
    if not column.is_integer or not column.is_one or not nearly or column.values < _SOME_ROWS:
        return False
    if _OF_KEYS.search(column.name):
        return True
    if column.values < _CHANCE or _OF_ORDER.search(column.name):
        return False
    return (column.all_differ and column.span <= _NEAR * column.values) or _differ_by_intent(column)


def _differ_by_intent(column: Column) -> bool:
    """Whether so few integers are there again that nothing measured is like it, also where keys have gaps.

    Of n integers that are drawn at random from a span, n / (2 span) are there more than once; of a measure, whose
    values crowd, even more. Moments differ because each row is one.
    """
    if column.repeated is None or column.moments:
        return False
    looked_at = min(column.distinct, SAMPLE)
    by_chance = looked_at * column.values / (2 * column.span)
    return by_chance >= _BY_CHANCE * (1 + column.repeated * looked_at)


def _of_the_split(column: Column) -> str:
    """Says that it is so in the training split alone, where another split has other values."""
    others = [other.split for other in column.elsewhere if other.constant != column.constant or not column.values]
    return f" of the split to train on (other values are in {', '.join(others)})" if others else ""


def _key(column: Column, taken_for: str) -> str:
    numbers = column.as_numbers if column.is_string else column
    if taken_for == "numeric" and numbers is not None and is_key(numbers):
        return f"its {numbers.values} integers {'nearly ' if numbers.repeated else ''}all differ, as keys do"
    if taken_for != "categorical" or not column.is_string or not column.is_one or column.values < _SOME_ROWS:
        return ""
    if column.all_differ and numbers is None and not column.for_people:
        return f"{column.unique} of its {column.values} values differ, as keys do"
    return ""

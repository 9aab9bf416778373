"""Which columns tell a model nothing: those without values, those with one alone, and keys."""

import re

from penstock.trainer.plan.columns import Column

_MOST_POSITIONS = 256
_SOME_ROWS = 20
_CHANCE = 100  # integers from which on chance does not make those differ that lie close together
_NEAR = 4  # so many times as wide apart: every ninth of them would meet another one
_OF_KEYS = re.compile(r"(?i)(?:^|[_.\s-])(?:id|key|uid|uuid|guid|hash)$|(?<=[a-z])(?-i:Id|ID|Key|Hash)$")
_OF_ORDER = re.compile(r"(?i)year|month|week|day|period|step|rank")  # one for each row, and yet more than its number


def why(column: Column, kind: str | None, taken_for: str) -> str:
    """Returns why a column tells nothing, "" if it may.

    `kind` is what a person says of it, who is believed where there are values; `taken_for` what the rules find.
    """
    if column.unreadable:
        return column.unreadable
    if column.sparse_size:
        return ""
    if not column.values:
        return "it has no value in any row"
    if kind:
        return ""
    if column.constant and column.present == column.rows:
        return f"it is {column.constant} in every row"
    if column.fixed > _MOST_POSITIONS and column.is_number:
        return f"it has {column.fixed} numbers in every row: expected {_MOST_POSITIONS} at most without a module_file"
    return _key(column, taken_for)


def _key(column: Column, taken_for: str) -> str:
    if not column.is_one or not column.all_differ or column.values < _SOME_ROWS:
        return ""
    if column.is_string and taken_for == "categorical":
        return f"{column.unique} of its {column.values} values differ, as keys do"
    close = column.values >= _CHANCE and column.span <= _NEAR * column.values and not _OF_ORDER.search(column.name)
    if column.is_integer and taken_for == "numeric" and (close or _OF_KEYS.search(column.name)):
        return f"its {column.values} integers all differ, as keys do"
    return ""

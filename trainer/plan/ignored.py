"""Which columns tell a model nothing: those without values, those with one alone, and keys."""

from penstock.core.statistics.distinct_count import SAMPLE
from penstock.core.statistics.keys import SOME_ROWS, Integers
from penstock.trainer.plan.columns import Column

_MOST_POSITIONS = 256


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
    """Whether a column's numbers are integers that differ as those of keys do, and not as a measure's."""
    if not column.is_integer or not column.is_one or not column.values:
        return False
    return Integers(
        column.name, column.values, column.distinct, column.all_differ, column.span, bool(column.moments),
        column.repeated, min(column.distinct, SAMPLE),
    ).are_keys  # fmt: skip


def _of_the_split(column: Column) -> str:
    """Says that it is so in the training split alone, where another split has other values."""
    others = [other.split for other in column.elsewhere if other.constant != column.constant or not column.values]
    return f" of the split to train on (other values are in {', '.join(others)})" if others else ""


def _key(column: Column, taken_for: str) -> str:
    numbers = column.as_numbers if column.is_string else column
    if taken_for == "numeric" and numbers is not None and is_key(numbers):
        return f"its {numbers.values} integers {'nearly ' if numbers.repeated else ''}all differ, as keys do"
    if taken_for != "categorical" or not column.is_string or not column.is_one or column.values < SOME_ROWS:
        return ""
    if column.all_differ and numbers is None and not column.for_people:
        return f"{column.unique} of its {column.values} values differ, as keys do"
    return ""

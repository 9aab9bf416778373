"""Rules of cleaning that no value of the first rows passes: mistaken ones more likely than data that is all wrong."""

import re
from collections.abc import Iterator, Mapping

from penstock.core import csv_format
from penstock.core.cleaning.rules import Convert, Pattern, Reference, Rule, Values
from penstock.core.suggestions import quoted
from penstock.pipelines.config.cleaning import Cleaning
from penstock.pipelines.preview import reference_files
from penstock.pipelines.preview.columns import Column


def of_all_values(cleaning: Cleaning, described: Mapping[str, Column]) -> Iterator[str]:
    """Yields which rules take all values of a column that were looked at for wrong, where no rule before mends them."""
    written = set[str]()
    for rule in cleaning.read():
        for name in rule.columns:
            column = described.get(name)
            if column and column.counts and name not in written and (wanted := _wanted(rule, column)):
                yield (
                    f"cleaning: rule {rule.name!r}: no value of column {name!r} that was looked at is {wanted}, but "
                    f"{quoted(list(column.counts))}: all of them would be wrong"
                )
        written |= set(rule.columns)


def _wanted(rule: Rule, column: Column) -> str:
    """Returns what a rule asks for and no value is; "" where one is, or another rule asks."""
    match rule:
        case Convert(to="integer" | "float") if not column.is_number:
            numbers = (csv_format.number(value, rule.decimal_point) for value in column.counts)
            return "a number" if all(number is None for number in numbers) else ""
        case Pattern():
            try:
                matches = any(re.fullmatch(rule.regex, value) for value in column.counts)
            except re.error:  # RE2 says some things in another way
                return ""
            return "" if matches else f"as a whole {rule.regex!r}"
        case Values() if rule.allowed:
            known = [str(value) for value in (*rule.allowed, *rule.mapping)]
            return "" if _meet(column, known) else f"one of {quoted(known)}"
        case Reference():
            values = reference_files.values(rule)
            return "" if not values or _meet(column, values) else f"in {rule.file}, which has {quoted(values)}"
    return ""


def _meet(column: Column, known: list[str]) -> bool:
    """Whether a value of the column is one of the known; numbers are equal however they are written."""
    if column.is_number:
        return bool(set(map(csv_format.number, known)) & set(column.numbers))
    return bool(column.counts.keys() & set(known))

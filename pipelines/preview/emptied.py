"""Rules of cleaning that no value of the first rows passes: mistaken ones more likely than data that is all wrong."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from penstock.core import packages
from penstock.core.cleaning.rules import Convert, Pattern, Reference, Rule, Values
from penstock.core.files import compression
from penstock.core.suggestions import quoted
from penstock.pipelines.config.cleaning import Cleaning
from penstock.pipelines.config.section import is_remote
from penstock.pipelines.preview.columns import Column

_LARGEST = 16 * 2**20  # bytes of a file of references that is read for this


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
            point = rule.decimal_point
            found = any(_is_number(value.replace(point, ".")) for value in column.counts)
            return "" if found else "a number"
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
            values = _values(rule)
            return "" if not values or _meet(column, values) else f"in {rule.file}, which has {quoted(values)}"
    return ""


def _meet(column: Column, known: list[str]) -> bool:
    """Whether a value of the column is one of the known; numbers are equal however they are written."""
    if column.is_number:
        return bool({float(value) for value in known if _is_number(value)} & set(column.numbers))
    return bool(column.counts.keys() & set(known))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _values(rule: Reference) -> list[str]:
    """Returns the values of a small CSV file of references on this machine, none of any other."""
    if is_remote(rule.file) or rule.file.endswith(".parquet"):
        return []
    try:
        file = packages.resolve(rule.file) if packages.is_inside(rule.file) else Path(rule.file)
    except ValueError:  # a package that is in the image alone
        return []
    if file.stat().st_size > _LARGEST:
        return []
    with compression.opened(file) as content, io.TextIOWrapper(content, "utf-8-sig", newline="") as text:
        return list(dict.fromkeys(row[rule.key_column] for row in csv.DictReader(text) if row[rule.key_column]))

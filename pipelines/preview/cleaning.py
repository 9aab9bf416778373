"""Rules of cleaning that the first rows of the data ask for: rows that are there twice, one value in several spellings,
numbers that stand for a missing value. And those of the configuration that do not fit these rows.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.core import csv_format
from penstock.core.cleaning import fitting
from penstock.core.cleaning.rules import Type, Unit
from penstock.core.errors import DataError
from penstock.core.suggestions import quoted
from penstock.pipelines.config.cleaning import Cleaning
from penstock.pipelines.config.csv_columns import hint
from penstock.pipelines.preview import emptied
from penstock.pipelines.preview.columns import Column, Kind
from penstock.pipelines.preview.table import Table

_MOST_TWICE = 0.2  # of the rows: where more are, the data has few different ones
_MOST_VALUES = 1000  # of a column whose spellings are compared
_MOST_SPELLINGS = 8  # in a mapping
_TYPES: dict[Kind, Type | None] = {"integers": "integer", "numbers": "float", "text": "text", "empty": None}
_SENTINELS = frozenset({-1.0, 999.0, 9999.0, 99999.0, -99.0, -999.0, -9999.0, -99999.0})
_FAR = 3.0  # times the span of all other numbers
_LEAST_TIMES = 2
_NEGATIVE = 0.01  # of a column's numbers, which are slips
_SOME_NEGATIVE = 200  # rows, by which this is said


def proposals(first: Table, described: Mapping[str, Column], label: str, missing: bool) -> Iterator[str]:
    """Yields a sentence for each rule, with the rule as `cleaning.rules` takes it. No values of the label are mended.

    missing: Whether to propose which texts mean a missing value; of CSV files data.csv.null_values says it.
    """
    where = "" if first.whole else "the first "
    rows = Counter(zip(*first.columns, strict=True))
    twice = rows.total() - len(rows)
    if 0 < twice <= _MOST_TWICE * rows.total():
        yield _sentence(f"{twice:,} of {where}{rows.total():,} rows are there already", {"rule": "duplicates"})
    for name, column in described.items():
        if name != label:
            yield from _spellings(column)
            yield from _impossible(column)
            words = [cell for cell in column.counts if missing and csv_format.is_missing(cell, csv_format.AUTO)]
            if words and column.kind == "text":
                rule = {"rule": "missing_values", "columns": [name], "values": words}
                yield _sentence(f"{quoted(words)} in column {name} may mean a missing value", rule)


def misfits(cleaning: Cleaning, first: Table, described: Mapping[str, Column], typed: bool) -> list[str]:
    """Returns which rules do not fit the first rows.

    Raises a DataError for a column that there is not, and for a rule that does not fit the type of one, where all rows
    are here and `typed` says that their cells tell it.
    """
    for key, name in cleaning.columns:
        if name not in first.names:
            raise DataError(f"{key}: the data has no column {name!r}; {hint(name, first.names)}")
    try:
        fitting.check(cleaning.read(), {name: _TYPES[column.kind] for name, column in described.items()})
    except DataError as error:
        error.message = f"cleaning: {error.message}"
        if first.whole and typed:
            raise
        return [f"{error.message}; so it is in the rows that were looked at"]
    return [*_unknown_units(cleaning, described), *emptied.of_all_values(cleaning, described)]


def _unknown_units(cleaning: Cleaning, described: Mapping[str, Column]) -> Iterator[str]:
    """Yields which rules of units do not know one that the column of units has: its numbers would stay as they are."""
    written = set[str]()  # anew, by a rule before
    for rule in cleaning.read():
        if isinstance(rule, Unit) and rule.by in described and rule.by not in written:
            found = described[rule.by].counts
            units = [*rule.units, rule.to]
            unknown = [unit for unit in found if unit not in units]
            if unknown and len(unknown) == len(found):
                yield (
                    f"cleaning: rule {rule.name!r}: no row that was looked at has one of {quoted(units)} in column "
                    f"{rule.by!r}, but {quoted(unknown)}: numbers stay as they are"
                )
            elif unknown:
                rows = f"{sum(found[unit] for unit in unknown):,} of {found.total():,} rows"
                yield (
                    f"cleaning: rule {rule.name!r}: {rows} have {quoted(unknown)} in column {rule.by!r}, which "
                    f"is none of {quoted(units)}: their numbers stay as they are"
                )
        written |= set(rule.columns)


def _spellings(column: Column) -> Iterator[str]:
    """A value that is written with other spaces or in another case as well."""
    if column.kind != "text" or len(column.counts) > _MOST_VALUES or column.dates:
        return
    alike: dict[str, list[str]] = {}
    for value in column.counts:
        alike.setdefault(" ".join(value.split()).casefold(), []).append(value)
    several = [sorted(values, key=lambda value: (-column.counts[value], value)) for values in alike.values()]
    several = [values for values in several if len(values) > 1]
    if not several:
        return
    others = {value: " ".join(values[0].split()) for values in several for value in values}
    others = {value: meant for value, meant in others.items() if value != meant}
    found = f"column {column.name} has values in several spellings, such as {quoted(several[0])}"
    if all(" ".join(value.split()) == meant for value, meant in others.items()):
        yield _sentence(found, {"rule": "text", "columns": [column.name], "spaces": "collapse"})
    elif len(others) <= _MOST_SPELLINGS:
        yield _sentence(found, {"rule": "values", "columns": [column.name], "mapping": others})
    else:
        rule = {"rule": "text", "columns": [column.name], "case": "lower", "spaces": "collapse"}
        yield _sentence(found, rule)


def _impossible(column: Column) -> Iterator[str]:
    """A number such as -999 far from all others, or a few numbers below zero."""
    if not column.is_number or len(column.numbers) < 3:
        return
    times = Counter[float]()
    for cell, count in column.counts.items():
        number = column.number(cell)
        if number is not None:
            times[number] += count
    ordered = sorted(times)
    for odd, rest, bound in ((ordered[0], ordered[1:], "min"), (ordered[-1], ordered[:-1], "max")):
        nearest = rest[0] if bound == "min" else rest[-1]
        span = max(rest[-1] - rest[0], 1.0)
        if odd in _SENTINELS and times[odd] >= _LEAST_TIMES and abs(odd - nearest) > _FAR * span:
            limit = 0 if bound == "min" and nearest >= 0 else _plain(nearest)
            rule = {"rule": "range", "columns": [column.name], bound: limit}
            found = f"column {column.name} is {_plain(odd)} in {times[odd]:,} rows and else {_plain(rest[0])} to"
            yield _sentence(f"{found} {_plain(rest[-1])}", rule)
            return
    negative = sum(count for number, count in times.items() if number < 0)
    if times.total() >= _SOME_NEGATIVE and 0 < negative <= _NEGATIVE * times.total():
        rule = {"rule": "range", "columns": [column.name], "min": 0}
        yield _sentence(f"{negative:,} of {times.total():,} numbers in column {column.name} are below 0", rule)


def _plain(number: float) -> int | float:
    return int(number) if number.is_integer() else number


def _sentence(found: str, rule: Mapping[str, Any]) -> str:
    """Returns the sentence, with a rule as YAML's flow writes it."""
    return f"{found}: cleaning.rules may have {_flow(rule)}"


def _flow(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case str() if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*( [A-Za-z0-9_]+)*", value) and value.lower() not in _WORDS:
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")

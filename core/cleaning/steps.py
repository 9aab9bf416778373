"""Applies one rule to rows: those that look at nothing but the rows and what was learned before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.core.cleaning import numbers, texts
from penstock.core.cleaning.expressions import checks
from penstock.core.cleaning.rows import ARROW, Rows
from penstock.core.cleaning.rules import (
    TYPE_WORDS,
    Check,
    Convert,
    Duplicates,
    Missing,
    MissingValues,
    Outliers,
    Pattern,
    Range,
    Reference,
    Rule,
    Scalar,
    Text,
    Type,
    Unit,
    Values,
)
from penstock.core.errors import DataError

FILLED = "filled"
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Step:
    """A rule, and what was learned for it, by column.

    What is filled in, bounds, which columns are dropped, and for servers the values that a file of references holds.
    """

    rule: Rule
    learned: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @cached_property
    def references(self) -> frozenset[bytes]:
        """The values that a reference has; it has one column."""
        return frozenset(value.encode() for values in self.learned.values() for value in values)


def apply(step: Step, rows: Rows, types: Mapping[str, Type | None], serving: bool = False) -> None:
    """Applies a rule to rows, which change; at serving no row is dropped.

    `types` are the columns' by their names, before this rule.
    """
    match step.rule:
        case MissingValues() as rule:
            texts.missing_values(rule, rows)
        case Missing() as rule:
            _missing(rule, step.learned, rows, types)
        case Text() as rule:
            texts.text(rule, rows)
        case Values() as rule:
            texts.values(rule, rows, drops=not serving)
        case Pattern() as rule:
            texts.pattern(rule, rows)
        case Convert() as rule:
            texts.convert(rule, rows, drops=not serving)
        case Unit() as rule:
            numbers.unit(rule, rows)
        case Range() as rule:
            numbers.within(rule, rows)
        case Outliers() as rule:
            numbers.outliers(rule, rows, step.learned)
        case Check() as rule:
            checks.check(rule, rows)
        case Reference() as rule:
            texts.reference(rule, rows, step.references)
        case Duplicates():
            raise AssertionError(f"{step.rule.KIND} takes more than the rows")
    rows.complete(step.rule.flags)


def _missing(rule: Missing, learned: Mapping[str, Any], rows: Rows, types: Mapping[str, Type | None]) -> None:
    if rule.action == "drop_column":
        rows.leave_out(column for column in rule.columns if learned[column]["dropped"])
        return
    for column in rule.columns:
        nothing = rows.without_value(column)
        if rule.action == "drop_row":
            rows.drop(nothing, column)
        elif nothing.any():
            value = rule.value if rule.action == "constant" else learned[column]
            assert value is not None
            kind = rows.type(column) or types.get(column) or "text"
            rows.fill(column, nothing, scalar(value, kind, column, rule.name), FILLED)


def scalar(value: Scalar, kind: Type, column: str, rule: str) -> pa.Scalar:
    """Returns a value in a column's type; a DataError if it does not fit it."""
    try:
        if kind == "text":
            return pa.scalar((value if isinstance(value, str) else str(value)).encode(), ARROW[kind])
        if isinstance(value, str):
            raise ValueError(value)
        if kind == "float":
            if abs(value) > _LARGEST:
                raise ValueError(value)
            return pa.scalar(float(np.float32(value)), ARROW[kind])
        if value != int(value):
            raise ValueError(value)
        return pa.scalar(int(value), ARROW[kind])
    except (ValueError, OverflowError, pa.ArrowInvalid):
        raise DataError(f"rule {rule!r}: column {column!r} holds {TYPE_WORDS[kind]}, and {value!r} is none") from None

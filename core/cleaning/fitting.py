"""Whether rules fit the columns that there are: their names and types, before any row is looked at again."""

import math
from collections.abc import Mapping

from penstock.core.cleaning.expressions import kinds
from penstock.core.cleaning.rules import (
    TYPE_WORDS,
    Check,
    Convert,
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
from penstock.core.suggestions import did_you_mean

_OF_TEXT = (MissingValues, Text, Pattern)
_OF_NUMBERS = (Range, Outliers, Unit)
_TO_TEXT = "; the rule `type` makes text of them"
_TO_NUMBERS = "; the rule `type` makes numbers of it"


def check(rules: tuple[Rule, ...], types: Mapping[str, Type | None]) -> None:
    """Raises a DataError for a rule of a column that does not exist, or has another type, where the rule begins.

    `types` are those of all columns; None of one without any value.
    """
    known = dict(types)
    for rule in rules:
        for name in rule.reads:
            if name not in known:
                raise DataError(f"rule {rule.name!r}: no column {name!r}; {did_you_mean(name, known, 'there are')}")
        taken = next((name for name in rule.flags if name in types), None)
        if taken:
            raise DataError(f"rule {rule.name!r}: there is a column {taken!r} already: expected another rule than flag")
        for column in rule.columns:
            _check_type(rule, column, known[column])
        if wrong := _of_several(rule, known):
            raise DataError(f"rule {rule.name!r}: {wrong}")
        _after(rule, known)


def types_before(rules: tuple[Rule, ...], types: Mapping[str, Type]) -> list[dict[str, Type | None]]:
    """Returns the types of the columns before each rule, and after the last one."""
    known: dict[str, Type | None] = dict(types)
    listed = [dict(known)]
    for rule in rules:
        _after(rule, known)
        listed.append(dict(known))
    return listed


def _of_several(rule: Rule, known: Mapping[str, Type | None]) -> str:
    """Returns what does not fit in a rule that looks at columns beside those that it mends; "" if all does."""
    if isinstance(rule, Check):
        return kinds.misfit(rule.expression, known)
    if isinstance(rule, Unit) and rule.by and known[rule.by] not in ("text", None):
        of = TYPE_WORDS[known[rule.by] or "text"]
        units = ", ".join((*rule.units, rule.to))
        return f"column {rule.by!r} holds {of}, which name no unit: expected in `by` a column of text such as {units}"
    return ""


def _check_type(rule: Rule, column: str, kind: Type | None) -> None:
    if kind is None:
        return
    wrong = ""
    if isinstance(rule, _OF_TEXT) and kind != "text":
        wrong = f"this is a rule of text{_TO_TEXT}"
    elif isinstance(rule, _OF_NUMBERS) and kind == "text":
        wrong = f"this is a rule of numbers{_TO_NUMBERS}"
    elif isinstance(rule, Missing) and rule.action == "median" and kind == "text":
        wrong = f"a median is one of numbers{_TO_NUMBERS}, and the action mode fills text"
    elif isinstance(rule, Missing) and not _fits(rule.value, kind):
        raise DataError(f"rule {rule.name!r}: column {column!r} holds {TYPE_WORDS[kind]}, and {rule.value!r} is none")
    elif isinstance(rule, Values) and kind == "integer" and (stray := _no_whole_number(rule)) is not None:
        raise DataError(f"rule {rule.name!r}: column {column!r} holds whole numbers, and {stray!r} is none")
    elif isinstance(rule, Range) and kind == "integer" and not _has_whole_number(rule):
        wrong = f"there is none from {rule.min:g} to {rule.max:g}"
    elif isinstance(rule, Values) and kind == "float":
        wrong = f"this is a rule of text or of whole numbers{_TO_TEXT}"
    elif isinstance(rule, Reference) and kind == "float":
        wrong = "references are text or whole numbers"
    if wrong:
        raise DataError(f"rule {rule.name!r}: column {column!r} holds {TYPE_WORDS[kind]}, and {wrong}")


def _fits(value: Scalar | None, kind: Type) -> bool:
    """Whether a constant can be filled in."""
    if value is None or kind == "text":
        return True
    return not isinstance(value, str) and (kind == "float" or value == int(value))


def _has_whole_number(rule: Range) -> bool:
    return rule.min is None or rule.max is None or math.ceil(rule.min) <= math.floor(rule.max)


def _no_whole_number(rule: Values) -> Scalar | None:
    """Returns the first of a rule's values that is no whole number; None if all are."""
    for value in (*rule.allowed, *rule.mapping, *rule.mapping.values()):
        try:
            if int(value) != float(value) or isinstance(value, float):
                return value
        except (ValueError, OverflowError):
            return value
    return None


def _after(rule: Rule, known: dict[str, Type | None]) -> None:
    """Changes the columns and types as a rule does; a column that may be dropped stays."""
    if isinstance(rule, Convert):
        known.update(dict.fromkeys(rule.columns, rule.to))
    known.update(dict.fromkeys(rule.flags, "integer"))

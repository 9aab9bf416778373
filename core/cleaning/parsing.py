"""Rules as JSON: read with one sentence for each kind of mistake, and written. Standard library only."""

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, get_args, get_type_hints

from penstock.core.arguments import check_list, check_object, check_string, check_strings
from penstock.core.cleaning import contradictions, patterns
from penstock.core.cleaning.expressions import kinds
from penstock.core.cleaning.expressions.syntax import Expression
from penstock.core.cleaning.rules import (
    KINDS,
    Check,
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
    Unit,
    Values,
)
from penstock.core.errors import ConfigError
from penstock.core.files import documents
from penstock.core.suggestions import did_you_mean
from penstock.core.text import printable

RULE = "rule"  # the key that says which rule it is
_NEEDS_NO_COLUMNS = (Duplicates, MissingValues, Check)


def parse(text: str, label: str = "") -> tuple[Rule, ...]:
    """Reads a JSON list of rules; a ConfigError tells which rule is wrong, and what was expected."""
    try:
        values = documents.parse_json(text)
    except ValueError as error:
        raise ConfigError(f"rules: expected JSON, received {printable.value(text)}: {error}") from None
    return rules(check_list("rules", values), label)


def rules(values: Sequence[Any], label: str = "") -> tuple[Rule, ...]:
    """Reads rules, objects with the key `rule` and the keys of that rule; names those that have no name.

    `label` is not filled, as what a model learns from is not made up. Nor is a column made of it that marks rows, or
    another one changed by it: the model would learn from that what it has to tell, and no request has it.
    """
    if not values:
        raise ConfigError("rules: expected at least one rule, received none")
    read: list[Rule] = []
    for index, value in enumerate(values):
        rule = _rule(f"rules[{index}]", value)
        _check_label(f"rules[{index}]", rule, label)
        taken = {other.name for other in read}
        if rule.name in taken:
            raise ConfigError(f"rules[{index}].name: {rule.name!r} is another rule's: expected one of its own")
        read.append(rule if rule.name else dataclasses.replace(rule, name=_name(rule, taken)))
    contradictions.check(read)
    return tuple(read)


def to_json(rule: Rule) -> dict[str, Any]:
    """Returns a rule as `rules` reads it, without what is as by default."""
    values = {RULE: rule.KIND}
    for field in dataclasses.fields(rule):
        value = getattr(rule, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        if value != default:
            values[field.name] = _plain(value)
    return values


def _plain(value: Any) -> Any:
    match value:
        case Expression(text=text):
            return text
        case tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return {
                key: {"factor": item[0], "offset": item[1]} if isinstance(item, tuple) else item
                for key, item in value.items()
            }
        case _:
            return value


def _name(rule: Rule, taken: Collection[str]) -> str:
    """Returns a name that tells the rule from the others."""
    words = rule.expression.text if isinstance(rule, Check) else ", ".join(rule.columns[:3])
    action = f" ({rule.action})" if isinstance(rule, Missing) else ""
    name = f"{rule.KIND} {words}".strip() + (", …" if len(rule.columns) > 3 else "") + action
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name} {number}", number + 1
    return unique


def _rule(where: str, value: Any) -> Rule:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected an object such as {{rule: range}}, received {printable.value(value)}")
    kind = value.get(RULE)
    if not isinstance(kind, str) or kind not in KINDS:
        if RULE not in value:
            raise ConfigError(f"{where}: expected the key `rule`, one of {', '.join(KINDS)}")
        raise ConfigError(f"{where}: unknown rule {kind!r}; {did_you_mean(str(kind), KINDS)}")
    cls = KINDS[kind]
    keys = [field.name for field in dataclasses.fields(cls)]
    where = f"{where} ({kind})"
    given = check_object(where, value, (RULE, *keys))
    hints = get_type_hints(cls)
    fields: dict[str, Any] = {}
    for key in keys:
        if key not in given or given[key] is None:
            continue
        fields[key] = _field(cls, key, hints[key], f"{where}.{key}", given[key])
    if cls is Check and "expression" not in fields:
        raise ConfigError(f"{where}: expected an expression, such as trip_seconds > 0")
    rule = cls(**fields)
    _check(where, rule, given)
    return rule


def _field(cls: type[Rule], key: str, hint: Any, where: str, value: Any) -> Any:
    if key == "otherwise":
        return _one_of(where, value, cls.SAYS_OTHERWISE)
    if key == "value":
        return _scalar(where, value)
    if key == "allowed":
        return tuple(_scalar(f"{where}[{index}]", item) for index, item in enumerate(check_list(where, value)))
    if key in ("columns", "values"):
        return _strings(where, value)
    choices = get_args(getattr(hint, "__value__", hint))
    if choices and all(isinstance(choice, str) for choice in choices):
        return _one_of(where, value, [choice for choice in choices if choice])
    return _READERS[key](where, value)


def _strings(where: str, value: Any) -> tuple[str, ...]:
    given = check_strings(where, value, "texts" if where.endswith("values") else "names of columns")
    twice = next((name for index, name in enumerate(given) if name in given[:index]), None)
    if not given or twice is not None:
        raise ConfigError(
            f"{where}: expected each once, {'received none' if not given else f'received {twice!r} twice'}"
        )
    return tuple(given)


def _one_of(where: str, value: Any, choices: Sequence[str]) -> str:
    if value not in choices:
        raise ConfigError(f"{where}: expected {', '.join(choices)}, received {printable.value(value)}")
    return str(value)


def _scalar(where: str, value: Any) -> Scalar:
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise ConfigError(f"{where}: expected a text or a number, received {printable.value(value)}")


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{where}: expected a number, received {printable.value(value)}")
    return value


def _mapping(where: str, value: Any) -> dict[str, Scalar]:
    return {key: _scalar(f"{where}.{key}", item) for key, item in check_object(where, value).items()}


def _units(where: str, value: Any) -> dict[str, tuple[float, float]]:
    units = {}
    for unit, item in check_object(where, value).items():
        here = f"{where}.{unit}"
        numbers = check_object(here, item, ("factor", "offset"))
        units[unit] = (
            float(_number(f"{here}.factor", numbers.get("factor", 1))),
            float(_number(f"{here}.offset", numbers.get("offset", 0))),
        )
    return units


def _text(where: str, value: Any) -> str:
    return check_string(where, value, "a text")


def _expression(where: str, value: Any) -> Expression:
    try:
        return Expression(_text(where, value))
    except ConfigError as error:
        raise ConfigError(f"{where.rpartition('.')[0]}: {error.message}") from None


_READERS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("name", "by", "to", "file", "key", "digest", "regex", "decimal_point"), _text),
    **dict.fromkeys(("min", "max", "factor", "offset", "above", "low", "high", "deviations"), _number),
    "mapping": _mapping,
    "units": _units,
    "expression": _expression,
}


def _check(where: str, rule: Rule, given: Mapping[str, Any]) -> None:
    """Raises a ConfigError for keys that do not go together."""
    if not rule.columns and not isinstance(rule, _NEEDS_NO_COLUMNS):
        raise ConfigError(f"{where}: expected columns, a list of names")
    wrong = next((problem for problem in _PROBLEMS[type(rule)](rule) if problem), "") if type(rule) in _PROBLEMS else ""
    if wrong:
        raise ConfigError(f"{where}{'' if wrong.startswith('.') else ': '}{wrong}")


def _of_bounds(rule: Range) -> list[str]:
    return [
        "expected min, max or both" if rule.min is None and rule.max is None else "",
        _order("min", rule.min, "max", rule.max),
    ]


def _order(low_name: str, low: float | None, high_name: str, high: float | None) -> str:
    if low is not None and high is not None and low > high:
        return f".{low_name}: expected {high_name}, {high:g}, or less, received {low:g}"
    return ""


def _of_values(rule: Values) -> list[str]:
    allowed = {str(item) for item in rule.allowed}  # as they are compared
    stray = next((item for item in rule.mapping.values() if allowed and str(item) not in allowed), None)
    return [
        "expected allowed, mapping or both" if not rule.allowed and not rule.mapping else "",
        f".mapping: {stray!r} is not allowed: expected one of {', '.join(map(str, rule.allowed[:20]))}"
        if stray is not None
        else "",
    ]


def _of_unit(rule: Unit) -> list[str]:
    by_range = rule.min is not None or rule.max is not None
    return [
        "expected either by and units, or min and max with a factor" if bool(rule.by) == by_range else "",
        "expected units, such as {mi: {factor: 1.609344}}" if rule.by and not rule.units else "",
        "expected `to`, the unit that the others become" if rule.by and not rule.to else "",
        "units: expected min and max, or by" if rule.units and not rule.by else "",
        f".by: {rule.by!r} is one of the columns, whose numbers name no unit" if rule.by in rule.columns else "",
        f".units.{rule.to}: this is what the others become: expected those others alone"
        if rule.units.get(rule.to, (1.0, 0.0)) != (1.0, 0.0)
        else "",
        *(f".units.{unit}.factor: expected another than 0" for unit, (factor, _) in rule.units.items() if not factor),
        ".factor: expected another than 0" if not rule.factor else "",
        "expected a factor or an offset" if by_range and (rule.factor, rule.offset) == (1.0, 0.0) else "",
        _order("min", rule.min, "max", rule.max),
    ]


def _of_missing(rule: Missing) -> list[str]:
    return [
        "expected a value to fill in" if rule.action == "constant" and rule.value is None else "",
        f".value: it is for the action constant, and action is {rule.action}"
        if rule.value is not None and rule.action != "constant"
        else "",
        f".above: expected a share from 0 to 1, received {rule.above:g}" if not 0 <= rule.above <= 1 else "",
    ]


def _of_outliers(rule: Outliers) -> list[str]:
    return [
        f".low: expected 0 <= low < high <= 1, received {rule.low:g} and {rule.high:g}"
        if not 0 <= rule.low < rule.high <= 1
        else "",
        f".deviations: expected a number above 0, received {rule.deviations:g}" if rule.deviations <= 0 else "",
    ]


def _of_duplicates(rule: Duplicates) -> list[str]:
    return [
        "expected `by`, the column whose greatest value is the newest" if rule.keep == "newest" and not rule.by else "",
        f".by: it is for keep: newest, and keep is {rule.keep}" if rule.by and rule.keep != "newest" else "",
    ]


def _of_pattern(rule: Pattern) -> list[str]:
    try:
        patterns.check(rule.regex)
    except patterns.PatternError as error:
        return [f".regex: expected a regular expression of RE2, received {rule.regex!r}: {error}"]
    return ["expected a regex, which the whole text fits" if not rule.regex else ""]


def _of_check(rule: Check) -> list[str]:
    misfit = kinds.misfit(rule.expression, {})
    return [
        f"expression {rule.expression.text!r}: {misfit}" if misfit else "",
        "expected columns, whose values are taken for missing"
        if rule.otherwise == "missing" and not rule.columns
        else "",
        "expected a name, of which the column <name>_flagged is made"
        if rule.otherwise == "flag" and not rule.name
        else "",
        ".columns: they are for otherwise: missing" if rule.otherwise != "missing" and rule.columns else "",
    ]


_PROBLEMS: dict[type[Rule], Callable[[Any], list[str]]] = {
    Duplicates: _of_duplicates,
    MissingValues: lambda rule: ["expected values, the texts that mean a missing one" if not rule.values else ""],
    Missing: _of_missing,
    Text: lambda rule: ["expected case, spaces or both" if not rule.case and not rule.spaces else ""],
    Values: _of_values,
    Pattern: _of_pattern,
    Unit: _of_unit,
    Range: _of_bounds,
    Outliers: _of_outliers,
    Check: _of_check,
    Reference: lambda rule: [
        "expected a file" if not rule.file else "",
        ".columns: expected one column, whose values stand in the file" if len(rule.columns) != 1 else "",
    ],
}


def _check_label(where: str, rule: Rule, label: str) -> None:
    """Raises a ConfigError for a rule that makes the label up, or tells the model what it is."""
    if label and label in rule.reads and (wrong := _of_label(rule, label)):
        raise ConfigError(f"{where} ({rule.KIND}): {wrong}")


def _of_label(rule: Rule, label: str) -> str:
    if rule.flags:
        told = f"{rule.flags[0]!r} would be made of the label {label!r} and tell the model what it is"
        return f"{told}: expected otherwise: drop"
    if isinstance(rule, Check) and rule.otherwise == "missing" and (told := _told_by_missing(rule, label)):
        return f"{told}: expected otherwise: drop, which the quarantine counts"
    if isinstance(rule, Unit) and label == rule.by:
        told = f"{rule.columns[0]!r} would be changed by the label {label!r} and tell the model what it is"
        return f"{told}, which no request has: expected another column that says the unit"
    if isinstance(rule, Missing) and label in rule.columns and rule.action != "drop_row":
        done = "dropped" if rule.action == "drop_column" else "filled"
        return f"{label!r} is the label, which is not {done}: expected the action drop_row for it"
    return ""


def _told_by_missing(rule: Check, label: str) -> str:
    """Says what the missing values of a check of the label and other columns would tell; "" if nothing."""
    mended = next((column for column in rule.columns if column != label), "")
    looked_at = next((column for column in rule.expression.columns if column != label), "")
    if mended and label in rule.expression.columns:
        return f"a missing value of {mended!r} would tell the model what the label {label!r} is"
    if looked_at and label in rule.columns:
        return f"by {looked_at!r} rows would lack the label {label!r}, and be left out of the evaluation unseen"
    return ""

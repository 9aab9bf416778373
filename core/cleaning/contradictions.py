"""Rules that are right one by one, and leave nothing together. Standard library only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.core.cleaning.rules import Missing, Range, Rule, Text, Unit, Values
from penstock.core.errors import ConfigError


@dataclass(frozen=True)
class _Kept:
    """The numbers of a column that rules have left, and which rules they are."""

    low: float = -math.inf
    high: float = math.inf
    low_by: int = -1
    high_by: int = -1

    def within(self, index: int, low: float | None, high: float | None) -> "_Kept":
        kept = self
        if low is not None and low > kept.low:
            kept = _Kept(low, kept.high, index, kept.high_by)
        if high is not None and high < kept.high:
            kept = _Kept(kept.low, high, kept.low_by, index)
        return kept


def check(rules: Sequence[Rule]) -> None:
    """Raises a ConfigError for a range that has none of the numbers which the rules before it have left, and for a
    value that no text has any more after a rule on how texts are written.
    """
    _check_texts(rules)
    of_columns: dict[str, _Kept] = {}
    for index, rule in enumerate(rules):
        for column in rule.columns:
            if isinstance(rule, Range | Unit):
                before = of_columns.get(column, _Kept())
                kept = before.within(index, rule.min, rule.max)
                if kept.low > kept.high:
                    raise ConfigError(f"rules[{index}] ({rule.KIND}): {_excluded(rule, column, before)}")
                if isinstance(rule, Range) and rule.otherwise != "flag":
                    of_columns[column] = kept
            if isinstance(rule, Unit | Values) or (isinstance(rule, Missing) and rule.action == "constant"):
                of_columns.pop(column, None)  # there are other numbers now


def _check_texts(rules: Sequence[Rule]) -> None:
    of_columns: dict[str, tuple[int, Text]] = {}
    for index, rule in enumerate(rules):
        for column in rule.columns:
            if isinstance(rule, Text):
                of_columns[column] = (index, rule)
            elif isinstance(rule, Values) and column in of_columns:
                by, text = of_columns.pop(column)
                _check_values(rule, column, index, by, text)
            else:
                of_columns.pop(column, None)


def _check_values(rule: Values, column: str, index: int, by: int, text: Text) -> None:
    looked_for = {value for value in (*rule.mapping, *rule.allowed) if isinstance(value, str)}
    for value in sorted(looked_for - {str(meant) for meant in rule.mapping.values()}):
        written = _written(value, text)
        if written not in looked_for:
            raise ConfigError(
                f"rules[{index}] (values): {value!r} is in no row after rules[{by}] (text), which makes {written!r} of "
                f"it in {column!r}: expected it so, or rules[{index}] before rules[{by}]"
            )


def _written(value: str, rule: Text) -> str:
    """Returns a value as the rule writes it; capitals of titles are left out, as words differ between libraries."""
    value = {"trim": value.strip(), "collapse": " ".join(value.split())}.get(rule.spaces, value)
    return {"lower": value.lower(), "upper": value.upper()}.get(rule.case, value)


def _excluded(rule: Range | Unit, column: str, before: _Kept) -> str:
    if rule.min is not None and rule.min > before.high:
        bound, by, left = f"min is {rule.min:g}", before.high_by, f"above {before.high:g}"
    else:
        bound, by, left = f"max is {rule.max:g}", before.low_by, f"below {before.low:g}"
    return f"{bound}, and rules[{by}] leaves no number of {column!r} {left}: expected ranges that overlap"

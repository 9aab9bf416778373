"""Rules that are right one by one, and leave nothing together. Standard library only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.core.cleaning.rules import Missing, Range, Rule, Unit, Values
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
    """Raises a ConfigError for a range that has none of the numbers which the rules before it have left."""
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


def _excluded(rule: Range | Unit, column: str, before: _Kept) -> str:
    if rule.min is not None and rule.min > before.high:
        bound, by, left = f"min is {rule.min:g}", before.high_by, f"above {before.high:g}"
    else:
        bound, by, left = f"max is {rule.max:g}", before.low_by, f"below {before.low:g}"
    return f"{bound}, and rules[{by}] leaves no number of {column!r} {left}: expected ranges that overlap"

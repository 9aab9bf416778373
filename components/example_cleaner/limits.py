"""Whether so much was dropped or changed that the data, or a rule, must be wrong."""

from collections import Counter

from penstock.components.example_cleaner.writing import Counted
from penstock.core.cleaning.rows import DROPPED
from penstock.core.cleaning.rules import Rule
from penstock.core.errors import DataError


class TooMuch(DataError):
    """A split lost all its rows, or more rows were dropped or changed than may be."""


def check(counted: Counted, rules: tuple[Rule, ...], max_quarantined: float, max_changed: float) -> None:
    """Raises TooMuch, with the rule that did most of it, for the first split of which too many rows were touched."""
    for split, rows in counted.rows.items():
        if rows and counted.dropped[split] == rows:
            raise TooMuch(f"split {split!r}: all {rows:,} rows were dropped, {_worst(counted, rules, split, True)}")
        for name, most, touched, done in (
            ("max_quarantined", max_quarantined, counted.dropped[split], DROPPED),
            ("max_changed", max_changed, counted.changed[split], "changed"),
        ):
            if touched > most * rows:
                raise TooMuch(
                    f"split {split!r}: {touched:,} of {rows:,} rows ({touched / rows:.1%}) were {done}, "
                    f"{_worst(counted, rules, split, done == DROPPED)}: expected {name} {most:.1%} at most: mend the "
                    "data or the rule, or allow more"
                )


def _worst(counted: Counted, rules: tuple[Rule, ...], split: str, dropped: bool) -> str:
    """Says which rule dropped most rows, or changed most values."""
    of_rules = Counter[int]()
    for effect, count in counted.effects.items():
        if effect.split == split and (effect.action == DROPPED) == dropped:
            of_rules[effect.step] += count
    step, count = max(of_rules.items(), key=lambda item: (item[1], -item[0]))
    return f"most ({count:,}) by the rule {rules[step].name!r}"

"""Whether so much was dropped or changed that the data, or a rule, must be wrong."""

from collections import Counter
from collections.abc import Callable

from penstock.components.example_cleaner.writing import Counted, Effect
from penstock.core.cleaning.rows import DROPPED, MISSING
from penstock.core.cleaning.rules import Rule
from penstock.core.errors import DataError


class TooMuch(DataError):
    """A split lost all its rows or labels, or more rows were dropped or changed than may be."""


def check(counted: Counted, rules: tuple[Rule, ...], label: str, max_quarantined: float, max_changed: float) -> None:
    """Raises TooMuch, with the rule that did most of it, for the first split of which too many rows were touched.

    So it does for a split of which no row has a value of the label any more.
    """
    for split, rows in counted.rows.items():
        if rows and counted.dropped[split] == rows:
            raise TooMuch(f"split {split!r}: all {rows:,} rows were dropped, {_worst(counted, rules, split, _drops)}")
        if counted.before[split, label] and not counted.after[split, label]:
            worst = _worst(
                counted,
                rules,
                split,
                lambda effect: _drops(effect) or (effect.column, effect.action) == (label, MISSING),
            )
            raise TooMuch(
                f"split {split!r}: no row has a value of the label {label!r} any more, {worst}: mend the rule"
            )
        for name, most, touched, done, counts in (
            ("max_quarantined", max_quarantined, counted.dropped[split], DROPPED, _drops),
            ("max_changed", max_changed, counted.changed[split], "changed", lambda effect: not _drops(effect)),
        ):
            if touched > most * rows:
                raise TooMuch(
                    f"split {split!r}: {touched:,} of {rows:,} rows ({touched / rows:.1%}) were {done}, "
                    f"{_worst(counted, rules, split, counts)}: expected {name} {most:.1%} at most: mend the "
                    "data or the rule, or allow more"
                )


def _drops(effect: Effect) -> bool:
    return effect.action == DROPPED


def _worst(counted: Counted, rules: tuple[Rule, ...], split: str, counts: Callable[[Effect], bool]) -> str:
    """Says which rule did most of those effects that count."""
    of_rules = Counter[int]()
    for effect, count in counted.effects.items():
        if effect.split == split and counts(effect):
            of_rules[effect.step] += count
    step, count = max(of_rules.items(), key=lambda item: (item[1], -item[0]))
    return f"most ({count:,}) by the rule {rules[step].name!r}"

"""What a person may want to mend of a column, or to know of how it is read."""

import math
import re
from collections.abc import Mapping

from penstock.core.statistics import exact
from penstock.trainer.plan import dates
from penstock.trainer.plan.columns import Column

_WORDS = 5  # that are shown
_STEPS = 100  # in a deviation; with fewer the values of a column are told apart badly
# $12.50 or 45%: numbers that a parser of numbers does not read. Separators of thousands ExampleGen tells of.
_WHOLE = r"(?:\d{1,3}(?:[,.' ]\d{3})+|\d+)"
_ADORNED = re.compile(rf"\s*[-+]?\s*(?:[$€£¥]\s*[-+]?{_WHOLE}(?:[.,]\d+)?|{_WHOLE}(?:[.,]\d+)?\s*[%$€£¥])\s*", re.ASCII)


def of(column: Column, kind: str | None, form: str | None, taken_for: str) -> str:
    """Returns the note on a column, "" where there is nothing to tell.

    `kind` and `form` are what a person says of it; `taken_for` is the kind that the rules find.
    """
    if column.numbers and column.words and (not kind or kind == "numeric") and taken_for != "date":
        note = _on_words(column, kind or taken_for)
        if note:
            return note
    if not column.is_string and not column.is_integer:
        return _on_floats(column)
    if form or kind not in (None, "date") or not column.is_one:
        return ""
    return _on_strings(column, kind) if column.is_string else _on_integers(column, kind or taken_for)


def of_label(column: Column) -> str:
    """Returns the note on a label that is a number to predict."""
    step = 0.0 if column.is_string else _coarse_step(column)
    return (
        f"it holds numbers from {_digits(column.least)} to {_digits(column.greatest)}, of which a model learns 32 "
        f"bits: steps of {step:g} and more; numbers less a constant keep more of their digits"
        if step
        else ""
    )


def _on_words(column: Column, kind: str) -> str:
    """Tells of a few strings among numbers, wherever they are: one alone makes the whole column text."""
    if kind != "numeric" and not column.not_numbers:
        return ""
    beside = _listed(column.words)
    if kind == "numeric":
        return (
            f"it holds numbers beside {beside}, so it is text; it is read as numbers, and those are taken for missing, "
            "which data.csv.null_values tells everything else that reads the data"
        )
    return (
        f"it holds numbers beside {beside}, so it is text; if those mean a missing value, data.csv.null_values tells it"
    )


def _listed(words: Mapping[str, str]) -> str:
    """Returns the first strings, and which split has those that are not in the one to train on."""
    shown = [f"{word!r}" + (f" (in {split})" if split else "") for word, split in list(words.items())[:_WORDS]]
    return ", ".join(shown) + (f" and {len(words) - _WORDS} more" if len(words) > _WORDS else "")


def _on_strings(column: Column, kind: str | None) -> str:
    written, example = column.dates, column.texts[0] if column.texts else ""
    if written and written.other:
        return (
            f"its dates, such as {example!r}, are read as {written.format!r}, and none shows that they are not "
            f"{written.other!r}: features: {{{column.name}: {{kind: date, format: ...}}}} decides"
        )
    if written and written.unread:
        return f"it holds dates beside {', '.join(map(repr, written.unread))}: those are taken for missing"
    if not written and dates.alike(column.texts):
        return (
            f"its values, such as {example!r}, look like dates, but no one format reads them all: features: "
            f"{{{column.name}: {{kind: date, format: ...}}}} tells how they are written"
        )
    return "" if written or kind else _on_adorned(column)


def _on_adorned(column: Column) -> str:
    """Tells of numbers that people read and parsers do not: with a currency, or a percent sign."""
    numbers = [text for text in column.texts if _ADORNED.fullmatch(text)]
    if not numbers or len(column.texts) < 10 * (len(column.texts) - len(numbers)):
        return ""
    return (
        f"its values, such as {numbers[0]!r}, look like numbers and are taken for strings: digits alone, such as "
        "1234.5, are read as numbers"
    )


def _on_integers(column: Column, kind: str) -> str:
    if not column.moments or kind == "date":
        return ""
    first, last = (dates.from_number(number, column.moments).year for number in (column.least, column.greatest))
    years = f"{first} to {last}" if first < last else f"{first}"
    return (
        f"its integers may be moments of {years}: if they are, features: {{{column.name}: {{kind: date, format: "
        f"{column.moments!r}}}}}"
    )


def _on_floats(column: Column) -> str:
    step = _coarse_step(column)
    return (
        f"it holds numbers from {column.least:.9g} to {column.greatest:.9g}, of which examples keep 32 bits: steps of "
        f"{step:g} and more; whole numbers keep all digits, and numbers less a constant more of them"
        if step
        else ""
    )


def _coarse_step(column: Column) -> float:
    """Returns the step between floats of 32 bits, where it is coarse beside the deviation of the numbers; else 0."""
    largest = max(abs(column.least), abs(column.greatest))
    deviation = column.deviation
    if column.is_integer:  # of large ones it is rounded away; it is half of the range at most (Popoviciu 1935)
        half = (column.greatest - column.least) / 2
        deviation = min(deviation, half) if deviation > 0 else half
    if not 0 < largest < math.inf or not deviation > 0:
        return 0.0
    step = 2.0 ** (math.frexp(largest)[1] - 24)
    return 0.0 if step < deviation / _STEPS else step


def _digits(number: int | float) -> str:
    return exact.text(number) if isinstance(number, int) else f"{number:.9g}"

"""Numbers that are written as text: a column is text as soon as one of its cells is no number."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.core import csv_format

_NUMBER = re.compile(csv_format.NUMBER, re.ASCII)
WHOLE = r"\s*[-+]?\d{1,18}\s*"  # that 64 bits hold
_WHOLE = re.compile(WHOLE, re.ASCII)
# 1,234.50 and 1.234,50, $12 and 45%: what people read as numbers, and parsers do not.
_FOR_PEOPLE = re.compile(
    r"\s*[-+]?\s*[$€£¥]?\s*[-+]?(?!0\d)(?:\d{1,3}(?:[,.']\d{3})+|\d+)(?:[.,]\d+)?\s*[%$€£¥]?\s*", re.ASCII
)
_PADDED = re.compile(r"\s*[-+]?0\d+\s*", re.ASCII)  # 02134 is a code


@dataclass(frozen=True)
class Written:
    """The numbers among the values of a column of text, as far as the statistics list these.

    Args:
        distinct: How many different numbers there are.
        rows: How many values are numbers; an estimate where the statistics do not list all.
        whole: Whether all of the numbers are integers.
        padded: Whether one begins with zeros, as codes do.
        least, greatest: Of the numbers; `int` if they are whole.
        complete: Whether the statistics list all values.
    """

    distinct: int
    rows: int
    whole: bool
    padded: bool
    least: int | float
    greatest: int | float
    complete: bool


def is_number(text: str) -> bool:
    """Whether a text is read as a number."""
    return _NUMBER.fullmatch(text) is not None


def is_for_people(text: str) -> bool:
    """Whether a text is a number to people, whatever its separators, with a currency or a percent sign."""
    return _FOR_PEOPLE.fullmatch(text) is not None


def written(values: Sequence[str], counts: Sequence[int], unique: int, total: int) -> Written | None:
    """Returns the numbers among the most frequent `values` of `unique` in all; None if there is none.

    counts: how often each occurs; total: how many values there are, those that are not listed too.
    """
    found = [(value, count) for value, count in zip(values, counts, strict=True) if is_number(value)]
    if not found:
        return None
    whole = all(_WHOLE.fullmatch(value) for value, _ in found)
    numbers = [int(value) if whole else float(value) for value, _ in found]
    share = len(found) / len(values)  # those that are not listed are taken for alike
    listed = sum(count for _, count in found)
    return Written(
        distinct=len(found) + round(share * max(unique - len(values), 0)),
        rows=listed + round(share * max(total - sum(counts), 0)),
        whole=whole,
        padded=any(_PADDED.fullmatch(value) for value, _ in found),
        least=min(numbers),
        greatest=max(numbers),
        complete=unique <= len(values),
    )

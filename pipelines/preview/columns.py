"""What the cells of a column are: numbers or text, which of them mean a missing value, and whether they are keys."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from penstock.core import csv_format
from penstock.core.labels import Values
from penstock.core.statistics.keys import SOME_ROWS, Integers
from penstock.core.text import cell_words
from penstock.core.text.cell_words import Slip
from penstock.trainer.plan import dates

Kind = Literal["integers", "numbers", "text", "empty"]
_NEARLY = 0.9  # of the strings of a key differ
_WORDS = 2  # from which on strings are text rather than keys


@dataclass(frozen=True)
class Column:
    """A column of the first rows.

    Args:
        name: Its name.
        kind: What ExampleGen takes it for; "empty" without values.
        counts: How often each value is there.
        missing: The rows without a value.
        taken: The cells that are missing though they are not empty.
        kept: Those that are values like any other though they may mean a missing one.
        slips: Those that are no numbers in a column of numbers.
        point: The decimal point.
    """

    name: str
    kind: Kind
    counts: Counter[str]
    missing: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    slips: tuple[Slip, ...] = ()
    point: str = "."

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.kind in ("integers", "numbers")

    @property
    def is_constant(self) -> bool:
        """Whether there is one value, or one number however it is written."""
        return len(self.numbers if self.is_number else self.counts) == 1

    @property
    def mixed_dates(self) -> dates.Mixed | None:
        """The two formats of its dates; None if it holds dates of one, or none."""
        return dates.mixed(list(self.counts)) if self.kind == "text" else None

    @cached_property
    def dates(self) -> dates.Written | None:
        """How its dates are written; None if it holds none."""
        return dates.written(list(self.counts)) if self.kind == "text" else None

    @property
    def label_values(self) -> Values:
        """What is known of the values, if this is the label."""
        if not self.is_number:
            return Values("string", len(self.counts) == 2)
        distinct = self.numbers
        if self.kind == "integers":
            whole = [int(cell) for cell in self.counts]  # with all their digits
            return Values("integer", len(distinct) == 2, min(whole), max(whole))
        return Values("float", len(distinct) == 2, min(distinct), max(distinct))

    @cached_property
    def numbers(self) -> set[float]:
        """The different numbers among its values."""
        return {number for number in map(self.number, self.counts) if number is not None}

    @property
    def is_key(self) -> bool:
        """Whether the values differ as those of keys do; the plan's rules (trainer/plan/ignored.py) ask the same."""
        total = self.counts.total()
        if self.kind == "integers":
            numbers = [int(cell) for cell in self.counts]
            again = sum(count > 1 for count in self.counts.values()) / len(numbers)
            moments = bool(dates.unit(min(numbers), max(numbers)))
            span = max(numbers) - min(numbers) + 1
            every = len(numbers) == total
            return Integers(self.name, total, len(numbers), every, span, moments, again, len(numbers)).are_keys
        if self.kind != "text" or total < SOME_ROWS or len(self.counts) <= _NEARLY * total:
            return False
        some = list(self.counts)[:1000]
        wordy = 2 * sum(len(cell.split()) >= _WORDS for cell in some) > len(some)
        numbers_too = 2 * sum(self.number(cell) is not None for cell in some) > len(some)
        return not wordy and not numbers_too and not self.dates

    def number(self, cell: str) -> float | None:
        """Returns the number that a cell holds; None if it is text."""
        return csv_format.number(cell, self.point)


def column(
    name: str, cells: Sequence[str], lines: Sequence[int], null_values: Sequence[str] = (), point: str = "."
) -> Column:
    """Describes a column; `lines` are those of the rows, `null_values` and `point` as in ExampleGen's options."""
    counts = Counter(cells)
    anywhere = {cell for cell in counts if csv_format.is_missing(cell, null_values)}
    among_numbers = {cell for cell in counts if csv_format.is_missing(cell, null_values, among_numbers=True)}
    values = [cell for cell in counts if cell not in among_numbers]
    words = [cell for cell in values if csv_format.number(cell, point) is None]
    is_number = bool(values) and not words
    absent = among_numbers if is_number else anywhere
    present = Counter({cell: count for cell, count in counts.items() if cell not in absent})
    is_automatic = null_values == csv_format.AUTO
    taken = Counter({cell: count for cell, count in counts.items() if is_automatic and cell and cell in absent})
    kept = Counter({cell: count for cell, count in present.items() if cell in among_numbers})
    kind: Kind = (
        ("integers" if all(map(_is_whole, values)) else "numbers") if is_number else "text" if present else "empty"
    )
    return Column(
        name,
        kind,
        present,
        len(cells) - present.total(),
        taken,
        kept,
        _slips(words, counts, sum(counts[cell] for cell in values), cells, lines),
        point,
    )


def _slips(
    words: Sequence[str], counts: Counter[str], values: int, cells: Sequence[str], lines: Sequence[int]
) -> tuple[Slip, ...]:
    rows = sum(counts[word] for word in words)
    if not 0 < len(words) <= cell_words.MOST or cell_words.NUMBERS_TO_A_WORD * rows > values - rows:
        return ()
    return tuple(Slip(word, counts[word], lines[cells.index(word)]) for word in words)


def _is_whole(cell: str) -> bool:
    try:
        int(cell)
    except ValueError:
        return False
    return True

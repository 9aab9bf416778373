"""What a person is told of the words in CSV cells: those taken for missing, and those that may be slips.

ExampleGen tells it of all rows (components/example_gen/sources/csv/cell_notes.py), `penstock validate` of the first
ones. Standard library only.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from penstock.core import progress
from penstock.core.suggestions import listed

SHOWN = 5
MOST = 20  # different words of a column, more are no slips
NUMBERS_TO_A_WORD = 10

type ByColumn = Mapping[str, Counter[str]]


@dataclass(frozen=True)
class Slip:
    """A word that is no number in a column of numbers, how often it is there, and the line that it is in first."""

    word: str
    count: int
    line: int

    def __str__(self) -> str:
        return f"{self.word!r} (line {self.line:,}{f' and {self.count - 1:,} more' if self.count > 1 else ''})"


def sentences(
    taken: ByColumn, kept: ByColumn, slips: Mapping[str, Iterable[Slip]], label: str, named: Sequence[str] = ()
) -> Iterator[str]:
    """Yields a sentence of each kind that there is.

    Args:
        taken: Counts of the cells that are taken for missing though they are not empty, by column.
        kept: Of those that are values like any other though they may mean a missing one; not told of the label.
        slips: Of the columns of numbers that are text for a few cells.
        label: The label, "" for none.
        named: The cells that data.csv.null_values names already: a longer list has them as well.
    """
    by_column = {name: list(of_column) for name, of_column in slips.items()}
    of_taken, of_kept = _by_word(taken), _by_word(kept, without={label, *by_column})
    if of_taken:
        yield f"{taken_words(taken)}; data.csv.null_values decides it: a list of such cells, [] for none"
    if of_kept:
        words = _json([*named, *of_taken, *of_kept])
        yield (
            "values like any other, though they may mean missing ones: "
            f"{'; '.join(of_kept.values())}; data.csv.null_values: {words} says that they do"
        )
    if by_column:
        among_numbers = [word for name in by_column for word in kept.get(name, ())]  # a list needs these, too
        odd = [slip.word for of_column in by_column.values() for slip in of_column]
        in_columns = [f"{name}: {_shown(by_column[name])}" for name in sorted(by_column)]
        yield (
            f"columns of numbers that are text for a few cells: {listed(in_columns)}; mend these, or "
            f"data.csv.null_values: {_json([*named, *of_taken, *among_numbers, *odd])} takes them for missing"
        )


def taken_words(taken: ByColumn) -> str:
    """Returns which cells are taken for missing, and where; "" if none are."""
    words = _by_word(taken)
    return f"taken for missing values: {'; '.join(words.values())}" if words else ""


def _json(words: Iterable[str]) -> str:
    return json.dumps(list(dict.fromkeys(words)), ensure_ascii=False)


def _shown(slips: Sequence[Slip]) -> str:
    others = len(slips) - SHOWN
    return ", ".join(map(str, slips[:SHOWN])) + (f" and {others} other words" if others > 0 else "")


def _by_word(counts: ByColumn, without: Collection[str] = ()) -> dict[str, str]:
    """Returns each word with a phrase that tells its columns, those with most rows first."""
    columns: dict[str, Counter[str]] = {}
    for name, of_column in counts.items():
        if name not in without:
            for word, count in of_column.items():
                columns.setdefault(word, Counter())[name] += count
    return {word: f"{word!r} in {_rows(of_word)}" for word, of_word in columns.items()}


def _rows(counts: Counter[str]) -> str:
    shown = [f"{name} ({progress.text({'rows': count})})" for name, count in counts.most_common(SHOWN)]
    return ", ".join(shown) + (f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")

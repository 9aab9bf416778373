"""What a person is told of the cells of CSV files: those that are taken for missing, and those that may be slips.

Noted piece by piece while the cells are converted, added up, and told in one sentence of each kind.
"""

import csv
import io
import logging
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.example_gen.sources.csv import cuts
from penstock.components.example_gen.sources.csv.missing import Missing
from penstock.core import csv_format
from penstock.core.files.data_files import DataFile
from penstock.core.text import cell_words
from penstock.core.text.cell_words import Slip

logger = logging.getLogger(__name__)
_NUMBER = f"^(?:{csv_format.NUMBER})$"
_LOOKED_AT = 100  # different cells of a piece, which tell most columns of text from those of numbers


@dataclass(frozen=True)
class Place:
    """A row of a file: the number `row`, from 0, of those from the offset `start` on."""

    path: DataFile
    start: int
    row: int
    delimiter: str
    quote_char: str

    def line(self) -> int:
        """Returns the number of its first line, from 1."""
        csv.field_size_limit(sys.maxsize)
        with self.path.open("rb") as file:
            file.seek(self.start)
            text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
            reader, rows, before = csv.reader(text, delimiter=self.delimiter, quotechar=self.quote_char), 0, 0
            for cells in reader:
                if cells and rows == self.row:
                    break
                rows, before = rows + bool(cells), reader.line_num
        return cuts.line_number(self.path, self.start) + before


@dataclass
class Odd:
    """The cells of a column that are no numbers, if most of them are numbers.

    `words` are the different ones, with their counts, and `places` where each of them is first. A column with too many
    is one of text, and has none.
    """

    numbers: int = 0
    words: Counter[str] = field(default_factory=Counter)
    places: dict[str, Place] = field(default_factory=dict)
    is_text: bool = False

    def merge(self, later: Self) -> None:
        """Adds the cells of later rows."""
        if not (self.is_text or later.is_text):
            self.numbers += later.numbers
            self.words += later.words
            self.places = later.places | self.places
            if len(self.words) <= cell_words.MOST:
                return
        self.words, self.places, self.is_text = Counter(), {}, True

    def slips(self) -> list[Slip]:
        """Returns the words with their lines, of which only the first are looked up."""
        return [
            Slip(word, self.words[word], self.places[word].line() if number < cell_words.SHOWN else 0)
            for number, word in enumerate(self.words)
        ]

    @property
    def few(self) -> bool:
        """Whether there are so few that they may be slips."""
        return not self.is_text and 0 < self.words.total() * cell_words.NUMBERS_TO_A_WORD <= self.numbers


@dataclass
class CellNotes:
    """What is noted of some rows, by column: counts of the cells that are not empty and yet taken for missing, of those
    that are text and yet may mean it, and what is odd among numbers.
    """

    taken: dict[str, Counter[str]] = field(default_factory=dict)
    kept: dict[str, Counter[str]] = field(default_factory=dict)
    odd: dict[str, Odd] = field(default_factory=dict)
    named: tuple[str, ...] = ()  # the cells that mean a missing value by name

    def add(self, name: str, column: pa.StringArray, values: pa.Array, missing: Missing, place: Place) -> None:
        """Notes the cells of a column that became these values; `place` is that of the first row."""
        self.named = missing.cells
        empty = pc.equal(pc.binary_length(column), 0)
        is_empty = pa.types.is_null(values.type)  # no cell has a value
        is_text = not is_empty and pa.types.is_large_binary(values.type.value_type)
        present = 0 if is_empty else len(values.flatten())
        if missing.auto and len(column) > present + (pc.sum(empty).as_py() or 0):
            _count(self.taken, name, column.filter(pc.invert(pc.or_(empty, missing.present(column, not is_text)))))
        if not is_text:
            return
        if missing.auto:
            distinct = pc.unique(column)
            words = distinct.filter(pc.and_not(missing.present(distinct), missing.present(distinct, True)))
            if len(words):
                _count(self.kept, name, column.filter(pc.is_in(column, words)))
        self.odd[name] = _odd(column, missing, place)

    def merge(self, later: Self) -> None:
        """Adds the notes of later rows."""
        self.named = self.named or later.named
        for mine, others in ((self.taken, later.taken), (self.kept, later.kept)):
            for name, counts in others.items():
                mine.setdefault(name, Counter()).update(counts)
        for name, odd in later.odd.items():
            self.odd.setdefault(name, Odd()).merge(odd)

    def warn(self, label: str) -> None:
        """Tells what a person may want to mend; labels.py tells of the label's own words."""
        slips = {name: odd.slips() for name, odd in self.odd.items() if odd.few}
        for sentence in cell_words.sentences(self.taken, self.kept, slips, label, self.named):
            logger.warning("%s", sentence)


def _count(noted: dict[str, Counter[str]], name: str, cells: pa.StringArray) -> None:
    if len(cells):
        counts = pc.value_counts(cells)
        words, numbers = counts.field("values").to_pylist(), counts.field("counts").to_pylist()
        noted[name] = Counter(dict(zip(words, numbers, strict=True)))


def _odd(column: pa.StringArray, missing: Missing, first: Place) -> Odd:
    present = column.filter(missing.present(column, among_numbers=True))
    some = pc.unique(present[: _LOOKED_AT * _LOOKED_AT])[:_LOOKED_AT]
    if 2 * _numbers(some) < len(some):
        return Odd(is_text=True)
    counts = pc.value_counts(present)
    distinct, numbers = counts.field("values"), counts.field("counts").to_numpy()
    are_numbers: np.ndarray = pc.match_substring_regex(distinct, _NUMBER).to_numpy(zero_copy_only=False)
    others = distinct.filter(pa.array(~are_numbers))
    if len(others) > cell_words.MOST:
        return Odd(is_text=True)
    words = Counter(dict(zip(others.to_pylist(), numbers[~are_numbers].tolist(), strict=True)))
    places = {
        word: Place(first.path, first.start, pc.index(column, word).as_py(), first.delimiter, first.quote_char)
        for word in words
    }
    return Odd(int(numbers[are_numbers].sum()), words, places)


def _numbers(cells: pa.StringArray) -> int:
    return int(pc.sum(pc.match_substring_regex(cells, _NUMBER)).as_py() or 0)

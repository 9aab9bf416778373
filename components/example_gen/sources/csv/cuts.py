"""Where the records of a CSV file end, so that a file can be read in parts: line feeds outside quoted cells.

The rules are those of Python's csv module and of Arrow's reader: a quote opens a quoted cell only where a cell
begins; within one, two quotes are one; anywhere else a quote is an ordinary character. Whether a line feed is inside
a cell therefore depends on all quotes before it. They are looked at in blocks, by numpy, and one by one only where a
block holds a stray quote.
"""

from collections.abc import Iterator

import numpy as np

from penstock.core.errors import DataError
from penstock.core.files.data_files import DataFile

LONGEST_RECORD = 64 << 20  # bytes: a row must fit into memory, and what has none this long is no table
TOO_LONG = (
    f"expected rows that end with a line feed, found one of more than {LONGEST_RECORD >> 20} MiB: is this CSV text?"
)
_BLOCK = 4 << 20
_LINE_FEED = 0x0A


def cut(path: DataFile, name: str, start: int, size: int, delimiter: str, quote: str) -> Iterator[tuple[int, int]]:
    """Yields the offsets (start, end) of consecutive parts of at least `size` bytes, the last one excepted.

    A DataError names the line of a quoted cell that does not end, and of a record that is too long for a row.
    """
    quotes = _Quotes(ord(delimiter), ord(quote))
    part, position = start, start
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(_BLOCK):
            toggles = quotes.toggles(block, position)
            place = max(part + size - 1 - position, 0)
            while (place := quotes.record_end(block, toggles, place)) >= 0:
                yield part, position + place + 1
                part = position + place + 1
                place = part + size - 1 - position
            quotes.advance(block, toggles, position)
            position += len(block)
            if position - (part + size) > LONGEST_RECORD and not quotes.inside:
                raise DataError(f"{name}, line {line_number(path, part)}: {TOO_LONG}")
    if quotes.inside:
        raise DataError(
            f"{name}, line {line_number(path, quotes.opened)}: the quoted cell that begins here does not end: "
            f"expected another {quote}"
        )
    if part < position:
        yield part, position


def first_record(path: DataFile, name: str, start: int, delimiter: str, quote: str) -> int:
    """Returns the offset of the end of the record that begins at `start`."""
    return next((end for _, end in cut(path, name, start, 1, delimiter, quote)), start)


def line_number(path: DataFile, offset: int) -> int:
    """Returns the number, from 1, of the line that the offset is in."""
    lines, left = 1, offset
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(_BLOCK, left))):
            lines += block.count(b"\n")
            left -= len(block)
    return lines


class _Quotes:
    """Follows the quoted cells from block to block."""

    def __init__(self, delimiter: int, quote: int):
        self._quote = quote
        self._before_cell = np.array([delimiter, _LINE_FEED, 0x0D], np.uint8)
        self._last = _LINE_FEED  # the byte before the block
        self._closed = -2  # the offset of the last quote that ended a cell, or might have
        self.inside = False  # whether the block begins inside a quoted cell
        self.opened = 0  # the offset of the last quote that began a cell

    def toggles(self, block: bytes, position: int) -> np.ndarray:
        """Returns the places of the quotes that begin and end cells. Two quotes in a cell end and begin it again."""
        if self._quote not in block:
            return np.empty(0, np.int64)
        content: np.ndarray = np.frombuffer(block, np.uint8)
        places: np.ndarray = np.flatnonzero(content == self._quote)
        before = content[places - 1]
        if places[0] == 0:
            before[0] = self._last
        after_end: np.ndarray = np.diff(places, prepend=self._closed - position) == 1
        may_begin: np.ndarray = np.isin(before, self._before_cell) | after_end
        if may_begin[int(self.inside) :: 2].all():  # every quote that begins a cell, if none is stray
            return places
        return self._one_by_one(places, np.isin(before, self._before_cell), position)

    def _one_by_one(self, places: np.ndarray, cell_begins: np.ndarray, position: int) -> np.ndarray:
        kept, inside, closed = [], self.inside, self._closed - position
        for place, begins in zip(places.tolist(), cell_begins.tolist(), strict=True):
            if inside:
                inside, closed = False, place
            elif begins or place == closed + 1:
                inside = True
            else:
                continue
            kept.append(place)
        toggles: np.ndarray = np.array(kept, np.int64)
        return toggles

    def record_end(self, block: bytes, toggles: np.ndarray, place: int) -> int:
        """Returns the place of the first line feed outside a cell, from `place` on; -1 if the block has none."""
        while (place := block.find(b"\n", place)) >= 0:
            passed = int(np.searchsorted(toggles, place))
            if self.inside == bool(passed % 2):
                return place
            if passed == len(toggles):
                return -1
            place = int(toggles[passed]) + 1
        return -1

    def advance(self, block: bytes, toggles: np.ndarray, position: int) -> None:
        """Goes on to the next block, which this one's toggles may open inside a cell."""
        if len(toggles):
            starts, ends = (1, 0) if self.inside else (0, 1)
            if len(toggles) > starts:
                self.opened = position + int(toggles[starts::2][-1])
            if len(toggles) > ends:
                self._closed = position + int(toggles[ends::2][-1])
            self.inside = self.inside != bool(len(toggles) % 2)
        self._last = block[-1]

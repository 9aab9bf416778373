"""How a CSV file is written, guessed from the file: its encoding, its delimiter and its decimal point."""

import codecs
import csv
import io
import itertools
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.core import csv_format
from penstock.core.errors import DataError
from penstock.pipelines.preview.table import opened

_CHARACTERS = 1 << 20
_ROWS = 200
_BYTES = 256 << 20  # in which bytes that are no UTF-8 are looked for
_CHUNK = 4 << 20
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DELIMITERS = ",;\t|"
_NEARLY_ALL = 0.9
_COMMA = re.compile(r"\s*[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)?,\d+(?:[eE][+-]?\d+)?\s*|\s*[+-]?\d+\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(?:,\d{3})+\s*")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written. What is as by default is left out of `options`."""

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal_point: str = "."
    has_header: bool = True
    columns: tuple[str, ...] = ()  # names to begin with, where there is no header

    @property
    def options(self) -> dict[str, str]:
        """The options of `data.csv` that say it."""
        default = Dialect()
        keys = ("delimiter", "encoding", "decimal_point")
        return {key: getattr(self, key) for key in keys if getattr(self, key) != getattr(default, key)}


def guess(file: Path) -> Dialect:
    """Returns how a file is written; a DataError for one that is empty."""
    encoding = _encoding(file)
    with opened(file) as plain, io.TextIOWrapper(plain, encoding, newline="") as text:
        beginning = text.read(_CHARACTERS).removeprefix("\ufeff")
        if text.read(1):
            beginning = beginning[: beginning.rfind("\n") + 1] or beginning
    if not beginning.strip():
        raise DataError(f"{file}: the file is empty: expected a header and rows")
    said, beginning = csv_format.without_separator_line(beginning)
    delimiter = said or max(_DELIMITERS, key=lambda delimiter: _fit(_rows(beginning, delimiter)))
    rows = _rows(beginning, delimiter)
    point = _decimal_point(rows[1:], delimiter)
    if _has_header(rows, point):
        return Dialect(delimiter, encoding, point)
    return Dialect(delimiter, encoding, point, False, tuple(f"column_{place + 1}" for place in range(len(rows[0]))))


def _encoding(file: Path) -> str:
    decoder, start = codecs.getincrementaldecoder("utf-8")(), b""
    with opened(file) as content:
        for number in itertools.count():
            chunk = content.read(_CHUNK)
            if number == 0:
                start = chunk[:4096]
                for mark, encoding in _MARKS.items():
                    if chunk.startswith(mark):
                        return encoding
                if b"\0" in start:  # UTF-16 without its mark: ASCII has a zero in each pair of bytes
                    return "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError:
                return _single_byte(file)
            if not chunk or number * _CHUNK >= _BYTES:
                return "utf-8"
    return "utf-8"


def _single_byte(file: Path) -> str:
    """Returns Windows' encoding of western Europe, or Latin-1 where the file has bytes that it lacks."""
    with opened(file) as content:
        for _ in range(_BYTES // _CHUNK):
            chunk = content.read(_CHUNK)
            if not chunk:
                break
            try:
                chunk.decode("cp1252")
            except UnicodeDecodeError:
                return "latin-1"
    return "cp1252"


def _rows(text: str, delimiter: str) -> list[list[str]]:
    csv.field_size_limit(sys.maxsize)
    try:
        reader = csv.reader(io.StringIO(text, ""), delimiter=delimiter)
        return list(itertools.islice(filter(None, reader), _ROWS))
    except csv.Error:
        return []


def _fit(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Returns how many rows have as many cells as the first one, and how many that are; (0, 1) of one column."""
    if not rows or len(rows[0]) < 2:
        return 0.0, 1
    return sum(len(row) == len(rows[0]) for row in rows) / len(rows), len(rows[0])


def _has_header(rows: Sequence[Sequence[str]], point: str) -> bool:
    """Whether the first row is none of the others: not where it has numbers in a column of numbers."""
    if len(rows) < 2:
        return True
    columns = [[cell for cell in column if cell.strip()] for column in zip(*rows[1:], strict=False)]
    return not any(
        csv_format.number(name, point) is not None and all(csv_format.number(cell, point) is not None for cell in cells)
        for name, cells in zip(rows[0], columns, strict=False)
        if cells
    )


def _decimal_point(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """Returns a comma if columns are numbers with one, and none with a point."""
    commas = 0
    for column in itertools.zip_longest(*rows, fillvalue=""):
        cells = [cell for cell in column if not csv_format.is_missing(cell, csv_format.AUTO, among_numbers=True)]
        if not cells:
            continue
        numbers = [cell for cell in cells if csv_format.number(cell) is not None]
        if len(numbers) >= _NEARLY_ALL * len(cells):
            if any("." in cell for cell in numbers):
                return "."
            continue
        with_comma = [cell for cell in cells if _COMMA.fullmatch(cell)]
        thousands = all(_THOUSANDS.fullmatch(cell) for cell in with_comma if "," in cell)
        commas += len(with_comma) >= _NEARLY_ALL * len(cells) and not thousands
    return "," if commas else "."

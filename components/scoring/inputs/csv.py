"""Rows of CSV files, written as the training data was."""

import codecs
import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.engines import Engine
from penstock.components.example_gen.sources.csv import cuts
from penstock.components.example_gen.sources.csv import options as csv_options
from penstock.components.example_gen.sources.csv import source as csv_source
from penstock.components.example_gen.sources.csv import types as csv_types
from penstock.components.example_gen.sources.csv.options import CsvOptions
from penstock.components.example_gen.sources.csv.source import CsvSource
from penstock.components.example_gen.sources.csv.types import ColumnType
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.example_gen.sources.source import TypesGrew
from penstock.components.scoring import features as features_
from penstock.components.scoring.features import Feature, Kind
from penstock.components.scoring.inputs.rows import File, Input, Problem, Reading, Rows, Style
from penstock.core import csv_format
from penstock.core.errors import DataError
from penstock.core.examples import records
from penstock.core.files import data_files
from penstock.core.files.data_files import DataFile
from penstock.core.text import printable

_PIECE = 2 << 20
_TYPES: dict[Kind, ColumnType] = {
    "number": ColumnType.FLOAT,
    "whole number": ColumnType.INT,
    "text": ColumnType.BYTES,
}
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class CsvInput(Input):
    """CSV files. `columns_of` has the columns of each file in its own order."""

    options: CsvOptions = field(default_factory=CsvOptions)
    columns_of: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def open(cls, files: Sequence[File], options: CsvOptions, label: str, scratch: Path, engine: Engine) -> "CsvInput":
        """Reads the headers and cuts the files at the ends of rows.

        Raises a DataError for a file that is no such text, or has other columns than the first one.
        """
        plain = csv_options.plain([file.path for file in files], options, scratch, engine)
        columns_of: dict[str, tuple[str, ...]] = {}
        first_lines, pieces = {}, []
        for file, path in zip(files, plain, strict=True):
            names, start = _columns(path, file.name, options, label)
            columns_of[file.name] = names
            first_lines[file.name] = cuts.line_number(path, start)
            _require_same(files[0].name, columns_of[files[0].name], file.name, names)
            pieces += [
                FilePiece(path, file.name, begin, end, end - begin)
                for begin, end in cuts.cut(path, file.name, start, _PIECE, options.delimiter, options.quote_char)
            ]
        return cls(
            columns_of[files[0].name],
            pieces,
            first_lines,
            notes=_notes(files, options.encoding),
            options=options,
            columns_of=columns_of,
        )

    @property
    def first_file(self) -> str:
        return next(iter(self.columns_of))

    @property
    def style(self) -> Style:
        return Style(self.options.delimiter, self.options.quote_char, self.options.decimal_point)

    def hint(self) -> str:
        likely = [
            one for one in ",;\t|" if one != self.options.delimiter and len(self.names) == 1 and one in self.names[0]
        ]
        if likely:
            return f"; it has one column: is the delimiter --csv 'delimiter={likely[0]}'?"
        return "".join(f"; {note}" for note in self.notes)

    def read(self, piece: FilePiece, reading: Reading) -> Iterator[Rows]:
        names = self.columns_of[piece.name]
        cells, lines, problems = self._cells(piece, names)
        columns, reasons = {}, dict[int, str]()
        for feature in reading.features:
            column = cells.column(names.index(feature.name))
            columns[feature.name], why = lists(column, feature, self.options)
            for row, reason in why.items():
                reasons.setdefault(row, reason)
        examples, keep = features_.encode(columns, reading.features, reasons, cells.num_rows)
        content_lines = None
        if reasons:
            text = _lines(piece)
            content_lines = lines or list(_numbered(text, self.options))
            for row, reason in sorted(reasons.items()):
                begin, end = content_lines[row]
                problems.append(Problem(begin, reason, "".join(text[begin:end]).rstrip("\r\n")))
        written = reading.written(self.names)
        shown = [self._shown(name, cells, columns, keep, reading) for name in written]
        batch = pa.RecordBatch.from_arrays(shown, list(written))
        yield Rows(batch, examples, sorted(problems, key=lambda one: one.line), piece_lines(piece))

    def _shown(
        self, name: str, cells: pa.RecordBatch, columns: dict[str, pa.Array], keep: pa.BooleanArray, reading: Reading
    ) -> pa.Array:
        """Returns a column as it is written: in CSV as it was read, else numbers as numbers."""
        if reading.format != "csv" and name in columns:
            values = pc.list_element(features_.without_empty(columns[name].filter(keep)), 0)
            return values.cast(pa.string()) if pa.types.is_large_binary(values.type) else values
        texts = cells.column(cells.schema.names.index(name)).filter(keep)
        if reading.format == "csv":
            return texts
        return pc.if_else(self.options.missing.present(texts), texts, pa.scalar(None, pa.string()))

    def _cells(
        self, piece: FilePiece, names: tuple[str, ...]
    ) -> tuple[pa.RecordBatch, list[tuple[int, int]] | None, list[Problem]]:
        """Returns the cells of the rows of the table as text, where each row begins and ends, and the other rows.

        The lines, from 0, are None where nothing had to be looked at row by row.
        """
        try:
            return CsvSource(self.options, names).cells(piece), None, []
        except DataError:
            return _one_by_one(piece, names, self.options)


def _notes(files: Sequence[File], encoding: str) -> list[str]:
    """Names a file that is read as another encoding, which hardly any bytes do not fit, and is UTF-8."""
    odd = next((file for file in files if encoding != "utf-8" and _is_utf_8(file.path)), None)
    return [f"{odd.name} is UTF-8, and read as {encoding}: --csv encoding=utf-8 reads it as it is"] if odd else []


def _is_utf_8(path: Path) -> bool:
    """Whether a file is UTF-8 with letters beyond ASCII, as text of another encoding is not by chance."""
    decoder, is_ascii = codecs.getincrementaldecoder("utf-8")(), True
    try:
        for chunk in records.decompressed(path):
            is_ascii = is_ascii and chunk.isascii()
            if "\0" in decoder.decode(chunk):  # UTF-16 of ASCII
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return not is_ascii


def _columns(path: DataFile, name: str, options: CsvOptions, label: str) -> tuple[tuple[str, ...], int]:
    """Returns a file's columns and where its rows begin; files without a header may lack the label's column."""
    names, start = csv_source.header(path, name, options)
    if not options.column_names or label not in names:
        return names, start
    end = cuts.first_record(path, name, start, options.delimiter, options.quote_char)
    first = data_files.content(path, start, end).decode(errors="replace")
    cells = next(csv.reader([first], delimiter=options.delimiter, quotechar=options.quote_char), [])
    if len(cells) == len(names) - 1:
        return tuple(one for one in names if one != label), start
    return names, start


def _require_same(first: str, expected: tuple[str, ...], name: str, names: tuple[str, ...]) -> None:
    """Raises a DataError if a file has other columns than the first; their order may be another."""
    different = set(expected) ^ set(names)
    if different:
        odd = sorted(different)[0]
        where = (first, name) if odd in expected else (name, first)
        raise DataError(f"{name}: expected the columns of {first}: {odd!r} is in {where[0]} and not in {where[1]}")


def lists(column: pa.StringArray, feature: Feature, options: CsvOptions) -> tuple[pa.Array, dict[int, str]]:
    """Returns cells as a list column of the feature's type, and why rows are none of it."""
    kind = _TYPES[feature.kind]
    try:
        return csv_types.convert(column, kind, options.missing, options.decimal_point), {}
    except TypesGrew:
        pass
    encoded = column.dictionary_encode()
    known = [_mended(cell, kind, options) for cell in encoded.dictionary.to_pylist()]
    mended = pa.array([cell or "" for cell in known], pa.string()).take(encoded.indices)
    bad: np.ndarray = np.array([cell is None for cell in known])[encoded.indices.to_numpy()]
    reasons = {
        row: f"column {feature.name!r}: expected a {feature.kind}, found {printable.value(column[row].as_py())}"
        for row in np.flatnonzero(bad).tolist()
    }
    return csv_types.convert(mended, kind, options.missing, options.decimal_point), reasons


def _mended(cell: str, kind: ColumnType, options: CsvOptions) -> str | None:
    """Returns a cell as one of this type, 3 for 3.0, which pandas writes beside missing values; None if it is none."""
    if not options.missing.present(pa.array([cell]), among_numbers=True)[0].as_py():
        return ""
    number = csv_format.number(cell, options.decimal_point)
    if number is None:
        return None
    if kind == ColumnType.INT:
        try:
            whole = int(cell)
        except ValueError:
            if not number.is_integer():
                return None
            whole = int(number)
        return str(whole) if whole in _INT64 else None
    text = repr(number)
    return text.replace(".", ",") if options.decimal_point == "," else text


def _one_by_one(
    piece: FilePiece, names: tuple[str, ...], options: CsvOptions
) -> tuple[pa.RecordBatch, list[tuple[int, int]], list[Problem]]:
    text = _lines(piece)
    rows: list[list[str]] = []
    places: list[tuple[int, int]] = []
    problems: list[Problem] = []
    for cells, (begin, end) in _records(text, options):
        raw = "".join(text[begin:end]).rstrip("\r\n")
        reason = _reason(cells, raw, names)
        if reason:
            problems.append(Problem(begin, reason, raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")))
        else:
            rows.append(cells)
            places.append((begin, end))
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = [pa.array(column, pa.string()) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, list(names)), places, problems


def _reason(cells: Sequence[str], raw: str, names: Sequence[str]) -> str:
    """Says why these cells are no row of the table; "" if they are one."""
    if "\0" in raw:
        return "expected text, found a NUL byte"
    if not raw.isascii():
        try:
            raw.encode()
        except UnicodeEncodeError as error:
            bad = raw[error.start : error.end].encode("utf-8", "surrogateescape")
            return f"expected UTF-8, found the bytes {bad!r}: another encoding is --csv encoding=latin-1 or the like"
    if len(cells) != len(names):
        return f"expected {len(names)} cells as in the header, found {len(cells)}"
    return ""


def _lines(piece: FilePiece) -> list[str]:
    """Returns the lines of a piece, which also a lone carriage return ends; bytes that are no UTF-8 are surrogates."""
    content = data_files.content(piece.path, piece.start, piece.end)
    return io.StringIO(content.decode("utf-8", "surrogateescape"), newline="").readlines()


def _records(lines: Sequence[str], options: CsvOptions) -> Iterator[tuple[list[str], tuple[int, int]]]:
    """Yields the cells of each row that is not blank, and the lines that it takes."""
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(iter(lines), delimiter=options.delimiter, quotechar=options.quote_char)
    before = 0
    for cells in reader:
        if cells:
            yield cells, (before, reader.line_num)
        before = reader.line_num


def _numbered(lines: Sequence[str], options: CsvOptions) -> Iterator[tuple[int, int]]:
    return (place for _, place in _records(lines, options))


def piece_lines(piece: FilePiece) -> int:
    """Returns how many lines a piece has."""
    content = data_files.content(piece.path, piece.start, piece.end)
    returns = content.count(b"\r") - content.count(b"\r\n") if b"\r" in content else 0
    return content.count(b"\n") + returns

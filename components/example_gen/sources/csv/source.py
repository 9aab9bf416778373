"""CSV: headers compared, files cut into shards at the ends of records, rows to columns of the types of all rows.

Types are found at the two ends of the data first. A row elsewhere that does not fit them is met when it is converted
(TypesGrew); only then are all rows looked at before any is converted (`with_all_types`).
"""

import contextlib
import csv
import io
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, Self

import pyarrow as pa
import pyarrow.csv

from penstock.components.engines import Engine
from penstock.components.example_gen import labels
from penstock.components.example_gen.inputs import spans
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.csv import cuts
from penstock.components.example_gen.sources.csv import options as csv_options
from penstock.components.example_gen.sources.csv import types as csv_types
from penstock.components.example_gen.sources.csv.cell_notes import CellNotes, Place
from penstock.components.example_gen.sources.csv.options import CsvOptions
from penstock.components.example_gen.sources.csv.types import ColumnType
from penstock.components.example_gen.sources.pieces import FilePiece, Shard
from penstock.components.example_gen.sources.source import Block, Opened, Request, Source
from penstock.core import csv_format
from penstock.core.errors import DataError
from penstock.core.examples import records
from penstock.core.suggestions import listed, nearest

logger = logging.getLogger(__name__)
_PIECE = 2 << 20  # of a shard that is parsed at a time: rows in columns take many times their bytes
_MANY_COLUMNS = 1000
_BYTES_OF_COLUMN = 200  # at least, of many: a column of a piece costs the same time for one row as for a hundred
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class CsvSource(Source[FilePiece]):
    """Reads pieces of CSV files with these columns."""

    options: CsvOptions
    names: tuple[str, ...]
    types: tuple[ColumnType, ...] = ()

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[FilePiece]]:
        """Gives a source that knows the columns' types at both ends of the data, and shards cut at record ends.

        Files that are compressed or not in UTF-8 are copied to `scratch` as plain UTF-8 first.

        Raises a DataError for a file without a header, headers that differ, and rows that are none of the table.
        """
        options = CsvOptions.from_json(request.options)
        with spans.local_files(request.input_base, request.splits, request.engine) as files:
            paths = [path for of_split in files.values() for path in of_split]
            copies = csv_options.plain(paths, options, request.scratch, request.engine)
            tables = {path: _table(path, copy, options) for path, copy in zip(paths, copies, strict=True)}
            first = tables[paths[0]]
            for table in tables.values():
                _check_same_header(first, table)
            if request.label:
                labels.require_column(request.label, first.names, str(first.path) + _other_delimiter(first.names))
            size = min(_PIECE, pieces.shard_bytes(table.plain.stat().st_size for table in tables.values()))
            if len(first.names) > _MANY_COLUMNS:
                size = max(size, _BYTES_OF_COLUMN * len(first.names))
            shards = pieces.shards(
                {
                    split: [piece for path in of_split for piece in tables[path].cut(size, options)]
                    for split, of_split in files.items()
                }
            )
            if not shards:
                what = "the file is empty" if options.column_names else "there is a header and no row"
                raise DataError(f"{first.path}: {what}: expected at least one row")
            ends = dict.fromkeys((shards[0].pieces[0], shards[-1].pieces[-1]))
            source = cls(options, first.names)
            source = replace(source, types=source.infer(Shard("", 0, 1, tuple(ends))))
            _warn_of_separators(source, shards[0].pieces[0])
            yield Opened(source, shards, spans.extent(files), files.root)

    def with_all_types(self, shards: Sequence[Shard[FilePiece]], engine: Engine) -> Self:
        """Returns a source that knows the columns' types in all rows."""
        types = engine.fold(self.infer, lambda *pair: csv_types.merge(pair), shards)
        assert types is not None  # there is a row, so there is a shard
        return replace(self, types=types)

    def read(self, piece: FilePiece) -> Iterator[Block]:
        """Yields the rows of a piece. Examples and canonical Examples are the same list.

        Raises TypesGrew if a cell is none of its column's type.
        """
        cells = self.cells(piece)
        if cells.num_rows:
            options, notes = self.options, CellNotes()
            first = Place(piece.path, piece.start, 0, options.delimiter, options.quote_char)
            columns = []
            for name, column, kind in zip(self.names, cells.columns, self.types, strict=True):
                columns.append(csv_types.convert(column, kind, options.missing, options.decimal_point))
                notes.add(name, column, columns[-1], options.missing, first)
            batch = pa.RecordBatch.from_arrays(columns, list(self.names))
            examples = records.encode(batch)
            yield Block(batch, examples, examples, notes)

    def rows(self, piece: FilePiece) -> int:
        """Returns how many rows a piece has, without converting their cells."""
        return int(self.cells(piece).num_rows)

    def infer(self, shard: Shard[FilePiece]) -> tuple[ColumnType, ...]:
        """Returns the columns' types in one shard."""
        types = [
            [
                csv_types.infer(column, self.options.missing, self.options.decimal_point)
                for column in self.cells(piece).columns
            ]
            for piece in shard.pieces
        ]
        return csv_types.merge(types)

    def cells(self, piece: FilePiece) -> pa.RecordBatch:
        """Returns the cells of a piece as text; a DataError names the line that is no row of the table."""
        with open(piece.path, "rb") as file:
            file.seek(piece.start)
            content = file.read(piece.end - piece.start)
        self._check_text(piece, content)
        if not content.strip(b"\r\n"):
            return pa.RecordBatch.from_pylist([], pa.schema([(name, pa.string()) for name in self.names]))
        numbered = [str(index) for index in range(len(self.names))]
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(content),
                pyarrow.csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=numbered),
                pyarrow.csv.ParseOptions(
                    delimiter=self.options.delimiter, quote_char=self.options.quote_char, newlines_in_values=True
                ),
                pyarrow.csv.ConvertOptions(
                    check_utf8=False, column_types=dict.fromkeys(numbered, pa.string()), strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid as error:
            self._raise_ragged(piece, content, error)
        return pa.RecordBatch.from_arrays([column.combine_chunks() for column in table.columns], list(self.names))

    def _check_text(self, piece: FilePiece, content: bytes) -> None:
        nul = content.find(b"\0")
        if nul >= 0:
            line = cuts.line_number(piece.path, piece.start + nul)
            raise DataError(
                f"{piece.name}, line {line}: expected text, found a NUL byte: the file is damaged or binary"
            )
        try:
            if not content.isascii():
                content.decode()
        except UnicodeDecodeError as error:
            line = cuts.line_number(piece.path, piece.start + error.start)
            bad_bytes = content[error.start : error.start + 4]
            raise DataError(
                f"{piece.name}, line {line}: expected UTF-8, found the bytes {bad_bytes!r}: set encoding "
                "(data.csv.encoding), for instance to 'latin-1' or 'cp1252'"
            ) from None

    def _raise_ragged(self, piece: FilePiece, content: bytes, error: pa.ArrowInvalid) -> NoReturn:
        csv.field_size_limit(sys.maxsize)
        text = io.StringIO(content.decode(), newline="")
        reader = csv.reader(text, delimiter=self.options.delimiter, quotechar=self.options.quote_char)
        before = 0
        for row in reader:
            if row and len(row) != len(self.names):
                line = cuts.line_number(piece.path, piece.start) + before
                shown = " ".join(self.options.delimiter.join(row).splitlines())
                raise DataError(
                    f"{piece.name}, line {line}: expected {len(self.names)} cells as in the header, found {len(row)}: "
                    f"{shown[:80]}{'…' if len(shown) > 80 else ''}"
                )
            before = reader.line_num
        raise DataError(f"{piece.name}: expected CSV rows of {len(self.names)} cells: {error}")


@dataclass(frozen=True)
class _Table:
    """A file, what it is read from (a plain copy if it is not plain UTF-8), its columns, and where its rows begin."""

    path: Path
    plain: Path
    names: tuple[str, ...]
    start: int

    def cut(self, size: int, options: CsvOptions) -> Iterator[FilePiece]:
        """Yields pieces of whole records, of about `size` bytes."""
        name = str(self.path)
        for start, end in cuts.cut(self.plain, name, self.start, size, options.delimiter, options.quote_char):
            yield FilePiece(self.plain, name, start, end, end - start)


def _table(path: Path, plain: Path, options: CsvOptions) -> _Table:
    names, start = header(plain, str(path), options)
    return _Table(path, plain, names, start)


def _warn_of_separators(source: CsvSource, piece: FilePiece) -> None:
    """Tells the columns that would be numbers if they were written in another way, as the first rows have them."""
    if ColumnType.BYTES not in source.types:
        return
    examples: dict[str, dict[str, str]] = {}  # by what keeps columns from being numbers: a cell of each
    options = source.options
    cells = source.cells(piece)
    for name, column, kind in zip(source.names, cells.columns, source.types, strict=True):
        if kind == ColumnType.BYTES:
            what, cell = csv_types.separators(column, options.missing, options.decimal_point)
            examples.setdefault(what, {})[name] = cell
    other = "," if options.decimal_point == "." else "."
    ways = {
        "decimals": f"data.csv.decimal_point: {json.dumps(other)} reads them as numbers",
        "thousands": "without their separators of thousands they are numbers; if those are decimal points, "
        f"data.csv.decimal_point is {json.dumps(other)}",
    }
    for what, way in ways.items():
        if what in examples:
            columns = listed([f"{name} ({cell!r})" for name, cell in examples[what].items()])
            logger.warning("numbers that are read as text: %s: %s", columns, way)


def header(path: Path, name: str, options: CsvOptions) -> tuple[tuple[str, ...], int]:
    """Returns the columns' names and the offset of the first row; a DataError if the names are none."""
    with open(path, "rb") as file:
        start = len(_BYTE_ORDER_MARK) if file.read(3) == _BYTE_ORDER_MARK else 0
    if options.column_names:
        _check_names(options.column_names, "column_names (data.csv.column_names)")
        return options.column_names, start
    end = cuts.first_record(path, name, start, options.delimiter, options.quote_char)
    with open(path, "rb") as file:
        file.seek(start)
        line = file.read(end - start)
    if b"\r" in line.replace(b"\r\n", b"\n"):
        raise DataError(
            f"{name}: expected lines that end with a line feed, found carriage returns alone: convert the file"
        )
    if b"\0" in line:
        raise DataError(f"{name}, line 1: expected text, found a NUL byte: the file is damaged, binary or in UTF-16")
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        bad_bytes = line[error.start : error.start + 4]
        raise DataError(
            f"{name}, line 1: expected UTF-8, found the bytes {bad_bytes!r}: set encoding (data.csv.encoding)"
        ) from None
    names = next(csv.reader([text], delimiter=options.delimiter, quotechar=options.quote_char), [])
    _check_names(names, f"{name}, line 1")
    return tuple(names), end


def _other_delimiter(names: tuple[str, ...]) -> str:
    """Says what the delimiter may be where the whole header is one name."""
    likely = [delimiter for delimiter in ";\t|" if len(names) == 1 and delimiter in names[0]]
    return f" (one column: is the delimiter, data.csv.delimiter, {likely[0]!r}?)" if likely else ""


def _check_names(names: list[str] | tuple[str, ...], where: str) -> None:
    try:
        csv_format.check_names(names)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None


def _check_same_header(first: _Table, other: _Table) -> None:
    if first.names == other.names:
        return
    of_first, of_other = set(first.names), set(other.names)
    missing = [name for name in first.names if name not in of_other]
    new = [name for name in other.names if name not in of_first]
    if not missing and not new:
        difference = "the same columns are in another order"
    else:
        parts = [f"no {missing[0]!r}"] if missing else []
        near = nearest(new[0], missing) if new else None
        parts += [f"{new[0]!r}" + (f" (for {near!r}?)" if near else "")] if new else []
        counts = len(first.names), len(other.names)
        difference = " and ".join(parts) + (
            f", {counts[0]} columns there and {counts[1]} here" if counts[0] != counts[1] else ""
        )
    raise DataError(f"{other.path}, line 1: expected the header of {first.path}, found another: {difference}")

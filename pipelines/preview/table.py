"""The first rows of the data, as cells of text, and what no run could read.

Files are looked at as ExampleGen reads them, with its sentences: what is refused here would be refused there.
"""

import codecs
import contextlib
import csv
import importlib.util
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from penstock.core import csv_format
from penstock.core.errors import DataError
from penstock.core.files import compression, patterns

_ROWS = 50_000
_CELLS = 5_000_000
_FEWEST = 200  # rows, however many columns there are
_CHARACTERS = 32 << 20  # of a file, of which rows are made
_BYTES = 256 << 20  # that are looked at for what is no text
_LONGEST_RECORD = 64 << 20  # bytes, as ExampleGen reads them
_CHUNK = 4 << 20


@dataclass(frozen=True)
class Table:
    """The first rows of the data.

    Args:
        path: The first file.
        names: Of the columns.
        columns: The cells of each; "" where there is no value.
        lines: The line of each row in its file.
        whole: Whether these are all rows of the data.
    """

    path: Path
    names: Sequence[str]
    columns: Sequence[Sequence[str]]
    lines: Sequence[int]
    whole: bool

    @property
    def rows(self) -> int:
        """How many rows there are here."""
        return len(self.lines)


@dataclass(frozen=True)
class Unseen:
    """Rows that are not looked at: `why`, as it stands after "for". `names` are the columns where these are known."""

    why: str
    names: Sequence[str] = ()


def of_csv(files: Sequence[Path], options: Mapping[str, Any]) -> Table:
    """Reads CSV files; `options` are those of csv_example_gen.

    Raises a DataError for a file that is empty or no text, a header without rows, and a row with too many cells.
    """
    csv.field_size_limit(sys.maxsize)
    names: Sequence[str] = options.get("column_names") or []
    rows: list[list[str]] = []
    lines: list[int] = []
    left, whole = _BYTES, True
    for file in files:
        if left > 0:
            left -= _check_text(file, options.get("encoding") or "utf-8", left)
        if len(rows) >= _most(names):
            whole = False
            break
        text, is_all = _beginning(file, options.get("encoding") or "utf-8")
        said, text = csv_format.without_separator_line(text)
        whole = whole and is_all
        delimiter, quote = options.get("delimiter") or ",", options.get("quote_char") or '"'
        if said and said != delimiter:
            raise DataError(f"{file}: its first line names {said!r} as the delimiter, expected {delimiter!r}")
        reader = csv.reader(io.StringIO(text, ""), delimiter=delimiter, quotechar=quote)
        try:
            header = options.get("column_names") or [name.removeprefix("\ufeff") for name in next(reader, [])]
            names = names or header
            if header != names:
                raise DataError(
                    f"{file}: expected the columns of {files[0].name}, {','.join(names)}, found {','.join(header)}"
                )
            before = reader.line_num
            for row in reader:
                if row:
                    _check_row(file, before + 1 + bool(said), row, names)
                    rows.append(row)
                    lines.append(before + 1 + bool(said))
                before = reader.line_num
                if len(rows) >= _most(names):
                    whole = whole and next(reader, None) is None
                    break
        except csv.Error as error:
            raise DataError(f"{file}, line {reader.line_num}: expected CSV text: {error}") from None
    if not rows:
        what = "the file is empty" if options.get("column_names") else "there is a header and no row"
        raise DataError(f"{files[0]}: {what}: expected at least one row")
    return Table(files[0], names, tuple(zip(*rows, strict=True)), lines, whole)


def of_parquet(files: Sequence[Path]) -> Table | None:
    """Reads the first Parquet file; None without pyarrow. Columns of lists and structs have no cells here."""
    if importlib.util.find_spec("pyarrow") is None:
        return None
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(files[0])
        batch = next(file.iter_batches(_most(file.schema_arrow.names)), None)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{files[0]}: expected a Parquet file: {error}") from None
    if batch is None or not batch.num_rows:
        raise DataError(f"{files[0]}: there is no row: expected at least one")
    columns = tuple(tuple(cell(value) for value in column.to_pylist()) for column in batch.columns)
    whole = len(files) == 1 and batch.num_rows == file.metadata.num_rows
    return Table(files[0], batch.schema.names, columns, range(1, batch.num_rows + 1), whole)


def files_of(base: Path, of_splits: Sequence[str], key: str = "data.path") -> list[Path]:
    """Returns the files that patterns mean, of {SPAN} and the like those of any; a DataError if a pattern has none.

    `key` is what the configuration calls them.
    """
    if base.is_file():
        return [base]
    files: list[Path] = []
    for pattern in of_splits or ["*"]:
        literal = patterns.of_every_span(patterns.literal_below(base, pattern))
        matched = [base / name for name in patterns.files(base, literal) if not name.startswith((".", "_"))]
        if not matched:
            advice = ""
            if any(base.glob("*=*/")):
                advice = "; its folders are named KEY=VALUE: data.partitions: hive reads the files in them"
            raise DataError(f"{key}: no file matches {str(base / pattern)!r}: expected one at least{advice}")
        files += matched
    return sorted(set(files))


def _most(names: Sequence[str]) -> int:
    return min(_ROWS, max(_FEWEST, _CELLS // max(len(names), 1)))


def _check_row(file: Path, line: int, row: Sequence[str], names: Sequence[str]) -> None:
    if len(row) != len(names):
        shown = " ".join(",".join(row).splitlines())
        raise DataError(
            f"{file}, line {line}: expected {len(names)} cells as in the header, found {len(row)}: "
            f"{shown[:80]}{'…' if len(shown) > 80 else ''}"
        )


def _beginning(file: Path, encoding: str) -> tuple[str, bool]:
    """Returns the first lines of a file, and whether these are all."""
    with opened(file) as plain, io.TextIOWrapper(plain, encoding, newline="") as text:
        characters = text.read(_CHARACTERS)
        if not text.read(1):
            return characters, True
    return characters[: characters.rfind("\n") + 1], False


@contextlib.contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """Opens a file, compressed or plain; a DataError for data that is damaged, and for bytes that are no text."""
    try:
        with compression.opened(file) as content:
            yield content
    except DataError as error:
        error.message = f"data: {error.message.removeprefix('data: ')}"
        raise
    except UnicodeDecodeError as error:
        raise DataError(f"data: {file}: expected CSV text in {error.encoding}: {error.reason}") from None
    except OSError as error:
        raise DataError(f"data: {file}: expected a file that can be read: {error.strerror}") from None


def _check_text(file: Path, encoding: str, most: int) -> int:
    """Raises a DataError for a file that is empty, or has bytes that are no text, with the line; returns its size."""
    decoder, lines, size = codecs.getincrementaldecoder(encoding)(), 1, 0
    with opened(file) as content:
        while size < most:
            chunk = content.read(_CHUNK)
            size += len(chunk)
            try:
                text = decoder.decode(chunk, final=not chunk)  # the last character may be cut off
            except UnicodeDecodeError as error:
                line = lines + error.object[: error.start].count(b"\n")
                bad_bytes = error.object[error.start : error.start + 4]
                raise DataError(
                    f"{file}, line {line}: expected {encoding}, found the bytes {bad_bytes!r}: set data.csv.encoding, "
                    "for instance to 'latin-1' or 'cp1252'"
                ) from None
            if "\0" in text:
                line = lines + text[: text.index("\0")].count("\n")
                raise DataError(f"{file}, line {line}: expected text, found a NUL byte: the file is damaged or binary")
            lines += text.count("\n")
            if lines == 1 and size > _LONGEST_RECORD:
                raise DataError(
                    f"{file}: expected rows that end with a line feed, found one of more than "
                    f"{_LONGEST_RECORD >> 20} MiB: is this CSV text?"
                )
            if not chunk:
                break
    if not size:
        raise DataError(f"{file}: the file is empty: expected a header and rows")
    return size


def cell(value: Any) -> str:
    """Returns a value as a cell of text, "" for none and for lists."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None or isinstance(value, list | dict) else str(value)

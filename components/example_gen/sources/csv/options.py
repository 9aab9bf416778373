"""How CSV files are written: the options a person may give, and the plain UTF-8 form in which they are read."""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from penstock.components.engines import Engine
from penstock.components.example_gen.sources.csv import cuts
from penstock.components.example_gen.sources.csv.missing import ONLY_EMPTY, Missing
from penstock.components.example_gen.sources.files import options as file_options
from penstock.components.example_gen.sources.files import packed
from penstock.components.example_gen.sources.files.options import FileOptions
from penstock.core import csv_format
from penstock.core.arguments import check_strings, parse_object
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records
from penstock.core.files import compression, data_files, formats
from penstock.core.files.data_files import DataFile

_BEGINNING = 64  # bytes that tell a file's format
_READERS = {
    "avro": ("an Avro", "file_example_gen"),
    "json": ("a JSON lines", "file_example_gen"),
    "orc": ("an ORC", "file_example_gen"),
    "parquet": ("a Parquet", "parquet_example_gen"),
    "tfrecord": ("a TFRecord", "import_example_gen"),
}
_KEYS = ("delimiter", "quote_char", "encoding", "decimal_point", "null_values", "column_names", *file_options.KEYS)
_OPTIONS = "csv_options (data.csv)"  # the component's argument, and its place in a configuration
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_FOREIGN = {
    b"PK\x03\x04": "a zip archive",
}


@dataclass(frozen=True)
class CsvOptions:
    """How CSV files are written.

    Args:
        delimiter: The character between cells.
        quote_char: The character around quoted cells.
        encoding: A codec of Python's.
        decimal_point: What stands before the decimals of a number, a point or a comma.
        missing: Cells that mean a missing value, beside the empty one: the option null_values.
        column_names: For files without a header.
        files: Which columns are read, and whether folders are columns.
    """

    delimiter: str = ","
    quote_char: str = '"'
    encoding: str = "utf-8"
    decimal_point: str = "."
    missing: Missing = ONLY_EMPTY
    column_names: tuple[str, ...] = ()
    files: FileOptions = field(default_factory=FileOptions)

    @classmethod
    def from_json(cls, text: str) -> "CsvOptions":
        """Reads the options; a ConfigError names an unknown one or a value that cannot be."""
        values = parse_object(_OPTIONS, text, _KEYS)
        values["files"] = FileOptions.of(_OPTIONS, values)
        values = {key: value for key, value in values.items() if key not in file_options.KEYS}
        names = values.get("column_names") or []
        values["column_names"] = tuple(check_strings(f"{_OPTIONS}: column_names", names, "strings"))
        null_values = values.pop("null_values", None) or []
        if null_values == csv_format.AUTO:
            values["missing"] = Missing(auto=True)
        else:
            values["missing"] = Missing(tuple(check_strings(f"{_OPTIONS}: null_values", null_values, "strings")))
        options = replace(cls(), **{key: value for key, value in values.items() if value is not None})
        try:
            codec = csv_format.check(options.delimiter, options.quote_char, options.encoding, options.decimal_point)
        except ValueError as error:
            raise ConfigError(f"{_OPTIONS}: {error}") from None
        return replace(options, encoding=codec)


def plain(files: Sequence[DataFile], options: CsvOptions, scratch: Path, engine: Engine) -> list[DataFile]:
    """Returns paths of the same contents as plain UTF-8: the files themselves, or copies of those that are not.

    A DataError names the file, and the line where it does not fit the encoding, or says that gzip data is damaged, or
    that there are no lines.
    """
    return engine.map(partial(_plain, options, scratch), list(enumerate(files)))


def _plain(options: CsvOptions, scratch: Path, numbered: tuple[int, DataFile]) -> DataFile:
    index, path = numbered
    encoding = options.encoding
    start = data_files.content(path, 0, _BEGINNING)
    if not start:
        _check_empty(path, options)
        return path
    _check_format(path, next(records.decompressed(path), b"") if compression.kind(start) else start)
    if encoding == "utf-8" and not compression.kind(start):
        check_beginning(path, start)
        return path
    copy = packed.write(scratch / f"{index:05d}.csv", path, _checked(path, _in_lines(path, _decoded(path, encoding))))
    if not copy.size:
        _check_empty(path, options)
    return copy


def _checked(path: DataFile, parts: Iterator[bytes]) -> Iterator[bytes]:
    for number, part in enumerate(parts):
        if number == 0:
            check_beginning(path, part[:4])
        yield part


def _check_empty(path: DataFile, options: CsvOptions) -> None:
    """Raises a DataError for an empty file, unless it is what a writer of files without a header leaves of no row."""
    if not options.column_names:
        raise DataError(f"{path}: the file is empty: expected a header and rows")


def check_beginning(path: DataFile, start: bytes) -> None:
    """Raises a DataError if a file begins as UTF-16 or UTF-32 text, or as no text at all."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            raise DataError(
                f"{path}: expected UTF-8, found {encoding}: set encoding (data.csv.encoding) to {encoding!r}"
            )
    for mark, kind in _FOREIGN.items():
        if start.startswith(mark):
            raise DataError(f"{path}: expected CSV text, found {kind}")


def _check_format(path: DataFile, start: bytes) -> None:
    """Raises a DataError that names the reader to take if a file begins as one of our other formats."""
    found = "tfrecord" if records.begins(start) else formats.of_beginning(start)
    if found:
        name, component = _READERS[found]
        raise DataError(f"{path} is {name} file, no CSV: set data.format: {found} (the component is {component})")


def _in_lines(path: DataFile, parts: Iterator[bytes]) -> Iterator[bytes]:
    """Passes a file's contents on while they have lines, so that what has none does not fill the disk first."""
    since = 0  # bytes after the last line feed
    for part in parts:
        last = part.rfind(b"\n")
        since = since + len(part) if last < 0 else len(part) - last - 1
        if since > cuts.LONGEST_RECORD:
            raise DataError(f"{path}: {cuts.TOO_LONG}")
        yield part


def _decoded(path: DataFile, encoding: str) -> Iterator[bytes]:
    """Yields the contents as UTF-8. What is UTF-8 already is passed on unchecked: the reader of shards checks it."""
    if encoding == "utf-8":
        yield from records.decompressed(path)
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    for chunk in _and_end(records.decompressed(path)):
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line = lines + error.object[: error.start].decode(encoding, "replace").count("\n")
            bad_bytes = error.object[error.start : error.start + 4]
            raise DataError(
                f"{path}, line {line}: expected {encoding}, found the bytes {bad_bytes!r}: set encoding "
                "(data.csv.encoding)"
            ) from None
        lines += text.count("\n")
        yield text.encode("utf-8", "surrogatepass")


def _and_end(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from (chunk for chunk in chunks if chunk)
    yield b""

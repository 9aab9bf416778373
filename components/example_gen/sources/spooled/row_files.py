"""Files of rows that say themselves what is in them: JSON lines, cut at the ends of lines, and Avro's containers."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from penstock.components.example_gen.sources.inferred import InferredSource
from penstock.components.example_gen.sources.spooled.rows import record_batch
from penstock.core.errors import DataError, UserError
from penstock.core.examples import records
from penstock.core.text import printable

type RowFormat = Literal["json_lines", "avro"]
_TOGETHER = 1000  # lines that are parsed at once
_PIECE = 2 << 20  # bytes of JSON lines that are parsed at a time: values of Python's take many times these


@dataclass(frozen=True)
class RowPiece:
    """A part of a file: whole lines from `start` to `end`, or all of it. `name` is what a person knows the file by."""

    path: Path
    name: str
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class RowFiles(InferredSource[RowPiece]):
    """Reads files of rows. `columns` are those to read, by the names in the file; without any, all."""

    format: RowFormat = "json_lines"
    columns: tuple[str, ...] = ()

    def batches(self, piece: RowPiece) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a piece; a DataError names the record that is none."""
        read: Callable[[RowPiece], Iterator[dict[str, Any]]] = _lines if self.format == "json_lines" else _avro
        rows = read(piece)
        while some := list(itertools.islice(rows, records.BATCH_SIZE)):
            yield record_batch(some, self.columns, piece.name)

    def names(self, piece: RowPiece) -> list[str]:
        """Returns the names of the columns that the first rows of a piece have."""
        read = _lines if self.format == "json_lines" else _avro
        return list(dict.fromkeys(name for row in itertools.islice(read(piece), records.BATCH_SIZE) for name in row))

    def cut(self, path: Path, name: str) -> list[RowPiece]:
        """Returns the pieces of a file, none of an empty one."""
        size = path.stat().st_size
        if self.format == "avro":
            return [RowPiece(path, name, 0, size)] if size else []
        found, start = [], 0
        with path.open("rb") as file:
            while start < size:
                file.seek(min(start + _PIECE, size))
                file.readline()
                end = min(file.tell(), size)
                found.append(RowPiece(path, name, start, end))
                start = end
        return found


def _lines(piece: RowPiece) -> Iterator[dict[str, Any]]:
    with piece.path.open("rb") as file:
        position = file.seek(piece.start)
        while position < piece.end:
            lines: list[tuple[bytes, int]] = []
            while position < piece.end and len(lines) < _TOGETHER:
                line = file.readline()
                position += len(line)
                if line.strip():
                    lines.append((line, position))
            yield from _rows(lines, piece)


def _rows(lines: Sequence[tuple[bytes, int]], piece: RowPiece) -> Iterator[dict[str, Any]]:
    """Yields the rows of lines, each with the byte that it ends at; parsed together, which is twice as fast."""
    try:
        values = json.loads(b"[%s]" % b",".join(line for line, _ in lines))
    except (ValueError, RecursionError):
        values = []
    if len(values) == len(lines) and all(isinstance(value, dict) for value in values):
        yield from values
        return
    for line, end in lines:  # one of them is no row
        yield _row(line, piece, end)


def _row(line: bytes, piece: RowPiece, end: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = "of fewer levels" if isinstance(error, RecursionError) else "on each line"
        raise DataError(f"{_place(piece, end)}: expected JSON {reason}, found {_shown(line)}") from None
    if not isinstance(value, dict):
        raise DataError(f"{_place(piece, end)}: expected an object with a row's columns, found {_shown(line)}")
    return value


def _shown(line: bytes) -> str:
    return printable.value(line.decode(errors="replace").strip()[:80])


def _place(piece: RowPiece, end: int) -> str:
    """Returns the name of the record that ends at a byte of the file."""
    start, name = 0, piece.name
    for part_start, part_name in _parts(piece.path):
        if part_start < end:
            start, name = part_start, part_name
    number = 0
    with piece.path.open("rb") as file:
        file.seek(start)
        while file.tell() < end:
            number += 1
            file.readline()
    return f"{name}, record {number}"


def write_parts(path: Path, parts: Sequence[tuple[int, str]]) -> None:
    """Writes beside a file what its parts are: the byte that each begins at, and what a person knows it by."""
    path.with_suffix(".parts").write_text(json.dumps(parts), encoding="utf-8")


def _parts(path: Path) -> list[tuple[int, str]]:
    names = path.with_suffix(".parts")
    return json.loads(names.read_text(encoding="utf-8")) if names.is_file() else []


def _avro(piece: RowPiece) -> Iterator[dict[str, Any]]:
    try:
        import fastavro
    except ImportError:
        raise UserError(f"{piece.name}: reading Avro needs another package: pip install 'penstock[avro]'") from None
    with piece.path.open("rb") as file:
        number = 0
        try:
            for row in fastavro.reader(file):
                number += 1
                if not isinstance(row, dict):
                    raise DataError(f"{piece.name}, record {number}: expected an Avro record, found {_kind(row)}")
                yield row
        except (ValueError, EOFError, IndexError, TypeError, fastavro.read.SchemaResolutionError) as error:
            raise DataError(
                f"{piece.name}: expected a whole Avro file, found another after {number:,} records: {error}"
            ) from None


def _kind(value: Any) -> str:
    return type(value).__name__


def documents_rows(document: Any, at: Sequence[str], where: str) -> list[dict[str, Any]]:
    """Returns the rows of a JSON document: those of the list at a path of keys, or the one object there.

    Raises a DataError where there is no list of objects.
    """
    path = ".".join(at)
    value = document
    for depth, key in enumerate(at):
        if not isinstance(value, dict) or key not in value:
            keys = ", ".join(map(str, value)) if isinstance(value, dict) else ""
            there = f"; there are {printable.value(keys)}" if keys else ""
            raise DataError(
                f"{where}: records: expected rows at {path!r}, found no {'.'.join(at[: depth + 1])!r}{there}"
            )
        value = value[key]
    if value is None:
        return []
    listed = [value] if isinstance(value, dict) and at else value
    if not isinstance(listed, list):
        found = (
            f"an object with {', '.join(map(repr, list(value)[:5]))}" if isinstance(value, dict) else repr(value)[:80]
        )
        at_path = f" at {path!r}" if at else ""
        raise DataError(
            f"{where}: records: expected a list of rows{at_path}, found {found}: say where they are, as data.items"
        )
    for number, row in enumerate(listed, 1):
        if not isinstance(row, dict):
            raise DataError(
                f"{where}, record {number}: expected an object with a row's columns, found {repr(row)[:80]}"
            )
    return listed

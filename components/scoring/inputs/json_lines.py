"""Rows of JSON lines: an object on each line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.scoring import features as features_
from penstock.components.scoring.features import TYPES, Feature
from penstock.components.scoring.inputs.rows import File, Input, Problem, Reading, Rows
from penstock.core import csv_format
from penstock.core.errors import DataError
from penstock.core.examples import records
from penstock.core.files import atomic, compression, data_files
from penstock.core.text import printable

_PIECE = 2 << 20
_LONGEST = 64 << 20  # bytes of a line
_INT64 = range(-(1 << 63), 1 << 63)
JSON = {b"penstock": b"json"}  # of a column whose values are JSON's texts


@dataclass(frozen=True)
class JsonLinesInput(Input):
    """Files of JSON lines. `names` are those of the first piece's objects; later ones may have more."""

    @classmethod
    def open(cls, files: Sequence[File], scratch: Path) -> "JsonLinesInput":
        """Cuts the files at the ends of lines; a compressed one is unpacked into `scratch` first."""
        pieces: list[FilePiece] = []
        for number, file in enumerate(files):
            path = _plain(file, scratch / f"{number}.jsonl")
            pieces += [FilePiece(path, file.name, start, end, end - start) for start, end in _cut(path, file.name)]
        names: dict[str, None] = {}
        for line in _lines(pieces[0]) if pieces else ():
            value = _parsed(line)
            names.update(dict.fromkeys(value if isinstance(value, dict) else ()))
        if not names:
            raise DataError(f"{files[0].name}: expected JSON lines, an object on each line, found none")
        return cls(tuple(names), pieces, has_more_names=len(pieces) > 1)

    def read(self, piece: FilePiece, reading: Reading) -> Iterator[Rows]:
        lines = _lines(piece)
        objects: list[dict[str, Any]] = []
        places: list[int] = []
        problems: list[Problem] = []
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            value = _parsed(line)
            if isinstance(value, dict):
                objects.append(value)
                places.append(number)
            else:
                received = value.reason if isinstance(value, _Broken) else printable.value(value)
                problems.append(Problem(number, f"expected an object in JSON, found {received}", _text(line)))
        columns, reasons = {}, dict[int, str]()
        for feature in reading.features:
            columns[feature.name] = _lists(objects, feature, reasons)
        examples, keep = features_.encode(columns, reading.features, reasons, len(objects))
        problems += [Problem(places[row], reason, _text(lines[places[row]])) for row, reason in reasons.items()]
        kept = [value for value, is_kept in zip(objects, keep.to_pylist(), strict=True) if is_kept]
        shown = _shown(kept, self.names, reading)
        yield Rows(shown, examples, sorted(problems, key=lambda one: one.line), len(lines))


class _Broken:
    """A line that is no JSON."""

    def __init__(self, reason: str):
        self.reason = reason


def _parsed(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return _Broken(str(error))


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")


def _lists(objects: Sequence[dict[str, Any]], feature: Feature, reasons: dict[int, str]) -> pa.Array:
    """Returns the values of a feature as lists of its type; adds to `reasons` why rows have none such."""
    convert = {"number": _number, "whole number": _whole, "text": _bytes}[feature.kind]
    rows: list[list[Any] | None] = []
    for row, value in enumerate(objects):
        cell = value.get(feature.name)
        values = cell if type(cell) is list else [] if cell is None else [cell]
        try:
            rows.append([convert(one) for one in values if one != ""] or None)
        except ValueError:
            rows.append(None)
            received = printable.value(cell)
            reasons.setdefault(row, f"column {feature.name!r}: expected a {feature.kind}, found {received}")
    return pa.array(rows, pa.large_list(TYPES[feature.kind]))


def _number(value: object) -> float:
    if type(value) is str and (number := csv_format.number(value)) is not None:
        return number
    if isinstance(value, int | float):
        return float(value)
    raise ValueError


def _whole(value: object) -> int:
    if type(value) is int and value in _INT64:
        return value
    number = _number(value)
    if number.is_integer() and int(number) in _INT64:
        return int(number)
    raise ValueError


def _bytes(value: object) -> bytes:
    """A whole number is the text that a CSV file would have of it."""
    if type(value) is str or type(value) is int:
        return str(value).encode()
    raise ValueError


def _shown(objects: Sequence[dict[str, Any]], names: Sequence[str], reading: Reading) -> pa.RecordBatch:
    """Returns the columns as they are written: as JSON has them, with all names, or as text in those of `names`."""
    as_json = reading.format == "jsonl"
    if as_json and reading.columns is None:
        names = list(dict.fromkeys(name for value in objects for name in value)) or names
    fields, arrays = [], []
    for name in reading.written(names):
        if as_json:
            texts = [orjson.dumps(value[name]).decode() if name in value else None for value in objects]
        else:
            texts = [_cell(value.get(name)) for value in objects]
        fields.append(pa.field(name, pa.string(), metadata=JSON if as_json else None))
        arrays.append(pa.array(texts, pa.string()))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _cell(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _plain(file: File, copy: Path) -> Path:
    if not compression.kind(data_files.content(file.path, 0, 6)):
        return file.path
    with atomic.replacing(copy) as temporary, open(temporary, "wb") as target:
        for part in records.decompressed(file.path):
            target.write(part)
    return copy


def _cut(path: Path, name: str) -> Iterator[tuple[int, int]]:
    """Yields the offsets of parts of whole lines, of about `_PIECE` bytes."""
    end = path.stat().st_size
    with open(path, "rb") as file:
        start = 3 if file.read(3) == b"\xef\xbb\xbf" else 0
        while start < end:
            file.seek(min(start + _PIECE, end))
            line = file.readline(_LONGEST) if start + _PIECE < end else b""
            if len(line) == _LONGEST:
                raise DataError(f"{name}: expected an object in JSON on each line, found one of more than 64 MiB")
            yield start, file.tell()
            start = file.tell()


def _lines(piece: FilePiece) -> list[bytes]:
    return data_files.content(piece.path, piece.start, piece.end).splitlines(keepends=True)

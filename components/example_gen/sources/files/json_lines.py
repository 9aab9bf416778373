"""JSON lines: an object on each line, also nested; a column is what its values are in all rows. Arrow parses it."""

import contextlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

import pyarrow as pa
import pyarrow.json

from penstock.components.example_gen.inputs import spans
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.csv import cuts
from penstock.components.example_gen.sources.files import separators, unpacked
from penstock.components.example_gen.sources.files.options import FileOptions
from penstock.components.example_gen.sources.files.partitions import Partitions
from penstock.components.example_gen.sources.files.tables import of_each, with_columns
from penstock.components.example_gen.sources.inferred import InferredSource, merged
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.example_gen.sources.source import Opened, Request
from penstock.core.errors import DataError
from penstock.core.files import data_files
from penstock.core.files.data_files import DataFile
from penstock.core.text import printable

logger = logging.getLogger(__name__)
_LINE = b"\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CHANGED = re.compile(r"Column\(/(?P<column>.*?)(?:/\[\])?\) changed from (?P<first>\w+) to (?P<other>\w+) in row")


@dataclass(frozen=True)
class JsonSource(InferredSource[FilePiece]):
    """Reads lines of JSON. A key that a row lacks, and one that is null, is no feature of the row.

    So the bytes of a row do not depend on the rows beside it. Text is text, also where it looks like a moment.
    """

    columns: tuple[str, ...] = ()  # those that are read; none for all
    partitions: Partitions = field(default_factory=Partitions)

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[FilePiece]]:
        """Gives shards of lines, and a source that knows the columns at both ends of the data.

        Compressed files are copied to `scratch` first. Raises a DataError for what is no JSON in lines.
        """
        options = FileOptions.from_json(request.options)
        with spans.data_files(request.input_base, request.splits) as files:
            paths = files.all()
            partitions = Partitions.of(paths, files.root) if options.partitions else Partitions()
            partitions.check_columns(options.columns)
            if options.columns:
                partitions = partitions.only(options.columns)
            copies = dict(zip(paths, unpacked.unpacked(paths, request.scratch, request.engine), strict=True))
            of_each(_check_beginning, list(copies.items()), request.engine)
            shards = pieces.shards(
                {
                    split: [piece for path in of_split for piece in separators.pieces(copies[path], str(path))]
                    for split, of_split in files.items()
                }
            )
            if not shards:
                raise DataError(f"{paths[0]}: the file is empty: expected an object in JSON on each line")
            source = cls(columns=options.columns, partitions=partitions)
            for piece in dict.fromkeys((shards[0].pieces[0], shards[-1].pieces[-1])):
                source = replace(source, kinds=merged(source.kinds, source.kinds_of(piece), piece.name))
            source.warn_of_absent()
            yield Opened(source, shards, spans.extent(files), files.root)

    def warn_of_absent(self) -> None:
        """Tells columns that are asked for, and that no row at either end of the data has."""
        absent = [
            name for name in self.columns if not any(one == name or one.startswith(f"{name}.") for one in self.kinds)
        ]
        if absent:
            logger.warning("columns: no row at the beginning or the end of the data has %s", ", ".join(absent))

    def batches(self, piece: FilePiece) -> Iterator[pa.RecordBatch]:
        content = separators.content(piece, _LINE)
        if piece.start == 0:
            content = content.removeprefix(_BYTE_ORDER_MARK)
        if not content.strip():
            return
        _check_text(piece, content)
        for batch in self._parsed(piece, content).combine_chunks().to_batches():
            names = [name for name in self.columns or batch.schema.names if name in batch.schema.names]
            self.partitions.check_beside(names, piece.path)
            yield with_columns(batch.select(names), self.partitions.columns(piece.name, batch.num_rows))

    def _parsed(self, piece: FilePiece, content: bytes) -> pa.Table:
        """Returns the rows of some lines; those that Arrow takes for moments as the text that they are."""
        try:
            table = _parse(content)
            texts = {field.name: _as_text(field.type) for field in table.schema}
            if any(kind != table.schema.field(name).type for name, kind in texts.items()):
                table = _parse(content, pa.schema(list(texts.items())))
            if table.num_columns and table.num_rows != sum(bool(line.strip()) for line in content.split(_LINE)):
                raise pa.ArrowInvalid("an object goes on in the next line")
        except pa.ArrowInvalid as error:
            _explain(piece, content, error)
        return table


def _parse(content: bytes, schema: pa.Schema | None = None) -> pa.Table:
    return pyarrow.json.read_json(
        pa.BufferReader(content),
        pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1),
        pyarrow.json.ParseOptions(explicit_schema=schema),
    )


def _as_text(arrow: pa.DataType) -> pa.DataType:
    """Returns a type with text in place of moments."""
    if pa.types.is_timestamp(arrow):
        return pa.string()
    if pa.types.is_list(arrow):
        return pa.list_(_as_text(arrow.value_type))
    if pa.types.is_struct(arrow):
        return pa.struct([(part.name, _as_text(part.type)) for part in arrow])
    return arrow


def _check_beginning(files: tuple[DataFile, DataFile]) -> None:
    file, copy = files
    start = data_files.content(copy, 0, 1 << 12).removeprefix(_BYTE_ORDER_MARK).lstrip()
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        raise DataError(f"{file}: expected JSON in UTF-8, found another encoding, or no text: convert the file")
    if start.startswith(b"["):
        raise DataError(
            f"{file}: expected an object in JSON on each line, found a list: jq -c '.[]' writes its elements so"
        )


def _check_text(piece: FilePiece, content: bytes) -> None:
    if content.isascii():
        return
    try:
        content.decode()
    except UnicodeDecodeError as error:
        before = separators.first_record(piece, _LINE)
        line = cuts.line_number(piece.path, before) + content[: error.start].count(_LINE)
        bad_bytes = content[error.start : error.start + 4]
        raise DataError(
            f"{piece.name}, line {line}: expected JSON in UTF-8, found the bytes {bad_bytes!r}: convert the file"
        ) from None


def _explain(piece: FilePiece, content: bytes, error: pa.ArrowInvalid) -> NoReturn:
    """Raises a DataError that names the first line that is no object, or has a value of another type than others."""
    first = cuts.line_number(piece.path, separators.first_record(piece, _LINE))
    seen: dict[str, str] = {}
    for number, line in enumerate(content.split(_LINE), first):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as broken:
            reason = f"it ends early, or is written on several lines: {broken}"
            raise DataError(_no_object(piece, number, line, reason)) from None
        if not isinstance(row, dict):
            raise DataError(_no_object(piece, number, line)) from None
        _check_kinds(piece, number, row, seen)
    changed = _CHANGED.search(str(error))
    where = f": column {changed['column']!r} is {changed['first']} here and {changed['other']} there" if changed else ""
    raise DataError(f"{piece.name}, from line {first}: expected JSON with the same types in all rows{where}: {error}")


def _no_object(piece: FilePiece, line: int, text: bytes, reason: str = "") -> str:
    shown = printable.value(text.decode(errors="replace"))
    more = f": {reason}" if reason else ""
    return f"{piece.name}, line {line}: expected an object in JSON, found {shown}{more}"


def _check_kinds(
    piece: FilePiece, line: int, row: Mapping[str, object], seen: dict[str, str], before: str = ""
) -> None:
    for key, value in row.items():
        name = f"{before}{key}"
        kind = _kind(value)
        if kind and seen.setdefault(name, kind) != kind:
            raise DataError(
                f"{piece.name}, line {line}: column {name!r}: expected {seen[name]}, as in the rows before, found "
                f"{kind}: write it alike in all rows, or leave the column out"
            )
        if isinstance(value, dict):
            _check_kinds(piece, line, value, seen, f"{name}.")
        for element in value if isinstance(value, list) else ():
            _check_kinds(piece, line, {f"{key}[]": element}, seen, before)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else ""

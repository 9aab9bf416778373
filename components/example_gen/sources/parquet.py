"""Parquet: row groups as shards, columns to integers, 32-bit floats and bytes."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from penstock.components.example_gen import labels
from penstock.components.example_gen.inputs import spans
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.example_gen.sources.source import Block, Opened, Request, Source
from penstock.core.errors import DataError
from penstock.core.examples import records


@dataclass(frozen=True)
class ParquetSource(Source[FilePiece]):
    """Reads row groups. A null is a feature without values, as in TFX; zeros stay (TFX drops them)."""

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[FilePiece]]:
        """Gives shards of row groups; a DataError for what is no Parquet file, or has other columns or types."""
        with spans.local_files(request.input_base, request.splits) as files:
            tables = {path: _table(path) for paths in files.values() for path in paths}
            first = next(iter(tables))
            for path, table in tables.items():
                _check_same_columns(first, tables[first].columns, path, table.columns)
            if request.label:
                labels.require_column(request.label, tables[first].columns, str(first))
            shards = pieces.shards(
                {split: [group for path in paths for group in tables[path].groups] for split, paths in files.items()}
            )
            if not shards:
                raise DataError(f"{first}: there are columns and no row: expected at least one")
            yield Opened(cls(), shards, spans.extent(files), files.root)

    def read(self, piece: FilePiece) -> Iterator[Block]:
        """Yields batches of a row group. Examples and canonical Examples are the same list."""
        try:
            with pq.ParquetFile(piece.path) as file:
                for batch in file.iter_batches(records.BATCH_SIZE, range(piece.start, piece.end), use_threads=False):
                    names = batch.schema.names
                    columns = [
                        _convert(column, name, piece.name) for name, column in zip(names, batch.columns, strict=True)
                    ]
                    features = pa.RecordBatch.from_arrays(columns, names)
                    examples = records.encode(features)
                    yield Block(features, examples, examples)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{piece.name}: the Parquet data is damaged: {error}") from None

    def rows(self, piece: FilePiece) -> int:
        """Returns how many rows a row group has, as the file's metadata says."""
        metadata = _metadata(piece.path)
        return sum(metadata.row_group(index).num_rows for index in range(piece.start, piece.end))


@dataclass(frozen=True)
class _Table:
    """A file: what its columns become, by name, and its row groups that have rows."""

    columns: dict[str, str]
    groups: tuple[FilePiece, ...]


def _table(path: Path) -> _Table:
    metadata = _metadata(path)
    schema = metadata.schema.to_arrow_schema()
    columns = {field.name: _kind(field.type, field.name, str(path)) for field in schema}
    if len(columns) < len(schema):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise DataError(f"{path}: expected different names of columns, found {twice!r} twice")
    groups = [(index, metadata.row_group(index)) for index in range(metadata.num_row_groups)]
    return _Table(
        columns,
        tuple(
            FilePiece(path, str(path), index, index + 1, group.total_byte_size)
            for index, group in groups
            if group.num_rows
        ),
    )


def _metadata(path: Path) -> pq.FileMetaData:
    if not path.stat().st_size:
        raise DataError(f"{path}: the file is empty: expected Parquet data")
    try:
        return pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: expected a whole Parquet file: {error}") from None


def _check_same_columns(first: Path, expected: dict[str, str], path: Path, columns: dict[str, str]) -> None:
    for name in [*expected, *columns]:
        if expected.get(name) != columns.get(name):
            kinds = [f"of {table[name]}" if name in table else "missing" for table in (expected, columns)]
            raise DataError(
                f"{path}: expected the columns of {first}, but {name!r} is {kinds[0]} there and {kinds[1]} here"
            )


def _kind(arrow: pa.DataType, name: str, where: str) -> str:
    """What the values of a column become."""
    kind = arrow
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind):
        return "no type"
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or (pa.types.is_decimal(kind) and kind.scale <= 0):
        return "integers"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "floats"
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_temporal)
    if any(is_kind(kind) for is_kind in (*binary, *text)) and not pa.types.is_duration(kind):
        return "bytes"
    raise DataError(
        f"{where}: column {name!r}: expected numbers, text, bytes, times or lists of them, found {arrow}: "
        "convert it or leave it out"
    )


def _convert(column: pa.Array, name: str, where: str) -> pa.Array:
    """Returns a column as lists of int64, float32 or binary. Dates and times are written as text, as in a CSV file."""
    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.large_list(column.type.value_type))
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    kind = _kind(column.type, name, where)
    if kind == "no type":
        return column
    elements = column.flatten() if is_list else column.drop_null()
    if is_list and elements.null_count:
        raise DataError(f"{where}: column {name!r}: expected no null within a list, found one")
    values = _values(elements, kind, name, where)
    if is_list:
        lengths = pc.fill_null(pc.list_value_length(column), 0)
    else:
        lengths = pc.cast(column.is_valid(), pa.int64())
    ends = pc.cumulative_sum(lengths.cast(pa.int64()))
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
    return pa.LargeListArray.from_arrays(offsets, values, mask=column.is_null() if column.null_count else None)


def _values(elements: pa.Array, kind: str, name: str, where: str) -> pa.Array:
    if pa.types.is_dictionary(elements.type):
        elements = elements.dictionary_decode()
    if kind == "integers":
        try:
            return elements.cast(pa.int64())
        except pa.ArrowInvalid:
            raise DataError(f"{where}: column {name!r}: expected integers of 64 bits, found a greater one") from None
    if kind == "floats":
        return elements.cast(pa.float64()).cast(pa.float32(), safe=False)
    if pa.types.is_temporal(elements.type):
        elements = elements.cast(pa.string())
    return elements.cast(pa.large_binary())

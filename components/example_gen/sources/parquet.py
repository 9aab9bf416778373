"""Parquet: row groups as shards, columns to integers, 32-bit floats and bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from penstock.components.example_gen import labels
from penstock.components.example_gen.sources import pieces as sources
from penstock.components.example_gen.sources.pieces import Block, Piece, Shard
from penstock.core.errors import DataError
from penstock.core.examples import records


@dataclass(frozen=True)
class ParquetSource:
    """Reads row groups. A null is a feature without values, as in TFX; zeros stay (TFX drops them)."""

    def read(self, piece: Piece) -> Iterator[Block]:
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


def plan(files: dict[str, list[Path]], label: str) -> tuple[ParquetSource, list[Shard]]:
    """Returns a reader and the shards; a DataError for what is no Parquet file, or has other columns or types."""
    pieces: dict[str, list[Piece]] = {}
    first: tuple[Path, dict[str, str]] | None = None
    for split, paths in files.items():
        pieces[split] = []
        for path in paths:
            metadata = _metadata(path)
            schema = metadata.schema.to_arrow_schema()
            columns = {field.name: _kind(field.type, field.name, str(path)) for field in schema}
            if len(columns) < len(schema):
                twice = next(name for name in schema.names if schema.names.count(name) > 1)
                raise DataError(f"{path}: expected different names of columns, found {twice!r} twice")
            first = first or (path, columns)
            _check_same_columns(*first, path, columns)
            for index in range(metadata.num_row_groups):
                group = metadata.row_group(index)
                if group.num_rows:
                    pieces[split].append(Piece(path, str(path), index, index + 1, group.total_byte_size))
    assert first
    if label:
        labels.require_column(label, first[1], str(first[0]))
    shards = sources.shards(pieces)
    if not shards:
        raise DataError(f"{first[0]}: there are columns and no row: expected at least one")
    return ParquetSource(), shards


def _metadata(path: Path) -> pq.FileMetaData:
    if not path.stat().st_size:
        raise DataError(f"{path}: the file is empty: expected Parquet data")
    try:
        return pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: expected a whole Parquet file: {error}") from None


def _check_same_columns(first: Path, expected: dict[str, str], path: Path, found: dict[str, str]) -> None:
    for name in [*expected, *found]:
        if expected.get(name) != found.get(name):
            kinds = [f"of {columns[name]}" if name in columns else "missing" for columns in (expected, found)]
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
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
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

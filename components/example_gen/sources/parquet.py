"""Parquet files: row groups as shards."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.components.example_gen import labels
from penstock.components.example_gen.inputs import spans
from penstock.components.example_gen.sources import columns, pieces
from penstock.components.example_gen.sources.columns import Kind
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.example_gen.sources.source import Opened, Request
from penstock.components.example_gen.sources.table import TableSource
from penstock.core.errors import DataError
from penstock.core.examples import records


@dataclass(frozen=True)
class ParquetSource(TableSource[FilePiece]):
    """Reads row groups. A null is a feature without values, as in TFX; zeros stay (TFX drops them)."""

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[FilePiece]]:
        """Gives shards of row groups; a DataError for what is no Parquet file, or has other columns or types."""
        with spans.local_files(request.input_base, request.splits, request.engine) as files:
            tables = {path: _table(path) for paths in files.values() for path in paths}
            first = next(iter(tables))
            for path, table in tables.items():
                _check_same_columns(first, tables[first].kinds, path, table.kinds)
            if request.label:
                labels.require_column(request.label, tables[first].kinds, str(first))
            shards = pieces.shards(
                {split: [group for path in paths for group in tables[path].groups] for split, paths in files.items()}
            )
            if not shards:
                raise DataError(f"{first}: there are columns and no row: expected at least one")
            yield Opened(cls(), shards, spans.extent(files), files.root)

    def batches(self, piece: FilePiece) -> Iterator[pa.RecordBatch]:
        """Yields batches of a row group."""
        try:
            with pq.ParquetFile(piece.path) as file:
                yield from file.iter_batches(records.BATCH_SIZE, range(piece.start, piece.end), use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{piece.name}: the Parquet data is damaged: {error}") from None

    def rows(self, piece: FilePiece) -> int:
        """Returns how many rows a row group has, as the file's metadata says."""
        metadata = _metadata(piece.path)
        return sum(metadata.row_group(index).num_rows for index in range(piece.start, piece.end))


@dataclass(frozen=True)
class _Table:
    """A file: what its columns become, by name, and its row groups that have rows."""

    kinds: Mapping[str, Kind]
    groups: tuple[FilePiece, ...]


def _table(path: Path) -> _Table:
    metadata = _metadata(path)
    schema = metadata.schema.to_arrow_schema()
    kinds = columns.kinds(schema, str(path))
    groups = [(index, metadata.row_group(index)) for index in range(metadata.num_row_groups)]
    return _Table(
        kinds,
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


def _check_same_columns(first: Path, expected: Mapping[str, Kind], path: Path, found: Mapping[str, Kind]) -> None:
    for name in [*expected, *found]:
        if expected.get(name) != found.get(name):
            kinds = [f"of {table[name]}" if name in table else "missing" for table in (expected, found)]
            raise DataError(
                f"{path}: expected the columns of {first}, but {name!r} is {kinds[0]} there and {kinds[1]} here"
            )

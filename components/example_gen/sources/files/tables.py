"""Files of formats with a schema: what Parquet, ORC and Avro have in common."""

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import pyarrow as pa

from penstock.components.engines import Engine
from penstock.components.example_gen import labels
from penstock.components.example_gen.inputs import spans
from penstock.components.example_gen.sources import columns, pieces
from penstock.components.example_gen.sources.columns import Kind
from penstock.components.example_gen.sources.files.options import FileOptions
from penstock.components.example_gen.sources.files.partitions import Partitions
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.example_gen.sources.source import Opened, Request
from penstock.components.example_gen.sources.table import TableSource
from penstock.core.errors import DataError
from penstock.core.files import data_files
from penstock.core.files.data_files import DataFile

_SOME_FILES = 8  # so many are looked at here, more of them by the engine's workers


@dataclass(frozen=True)
class Table:
    """A file: its columns, and its pieces that have rows."""

    schema: pa.Schema
    pieces: tuple[FilePiece, ...]


@dataclass(frozen=True)
class TableFiles(TableSource[FilePiece]):
    """Reads files with a schema. A null is a feature without values, as in TFX; zeros stay (TFX drops them)."""

    columns: tuple[str, ...] = ()  # of the files, in the order in which they are read
    partitions: Partitions = field(default_factory=Partitions)
    format_name: ClassVar[str]

    @classmethod
    @abstractmethod
    def table(cls, file: DataFile) -> Table:
        """Looks at a file's schema and cuts it; a DataError for what is no such file."""

    @abstractmethod
    def rows_of(self, piece: FilePiece) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a piece, of `self.columns` only."""

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[FilePiece]]:
        """Gives shards; a DataError for what is no such file, or has other columns or types than the first one."""
        options = FileOptions.from_json(request.options)
        with spans.data_files(request.input_base, request.splits) as files:
            paths = files.all()
            partitions = Partitions.of(paths, files.root) if options.partitions else Partitions()
            tables = dict(zip(paths, of_each(partial(_table, cls), paths, request.engine), strict=True))
            first = paths[0]
            partitions.check_columns(options.columns)
            every = [*tables[first].schema.names, *partitions.kinds]
            wanted = columns.selected_names(every, options.columns, str(first))
            own = [name for name in wanted if name not in partitions.kinds]
            expected: Mapping[str, Kind] = {}
            for path, table in tables.items():
                partitions.check_beside(table.schema.names, path)
                found = columns.kinds(pa.schema([field for field in table.schema if field.name in own]), str(path))
                expected = expected or found
                check_same_columns(first, expected, path, found)
            partitions = partitions.only(wanted)
            if request.label:
                labels.require_column(request.label, {**expected, **partitions.kinds}, str(first))
            shards = pieces.shards(
                {split: [piece for path in paths for piece in tables[path].pieces] for split, paths in files.items()}
            )
            if not shards:
                raise DataError(f"{first}: there are columns and no row: expected at least one")
            yield Opened(cls(tuple(own), partitions), shards, spans.extent(files), files.root)

    def batches(self, piece: FilePiece) -> Iterator[pa.RecordBatch]:
        for batch in self.rows_of(piece):
            yield with_columns(batch, self.partitions.columns(piece.name, batch.num_rows))


def _table(kind: type[TableFiles], file: DataFile) -> Table:
    if not data_files.size(file):
        raise DataError(f"{file}: the file is empty: expected {kind.format_name} data")
    return kind.table(file)


def of_each[File, Result](look: Callable[[File], Result], files: Sequence[File], engine: Engine) -> list[Result]:
    """Returns `look(file)` of each file: of many by the engine's workers, so that a thousand take not a thousand times
    as long as one."""
    return list(map(look, files)) if len(files) <= _SOME_FILES else engine.map(look, files)


def with_columns(batch: pa.RecordBatch, more: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """Returns a batch with more columns at its end."""
    if not more:
        return batch
    return pa.RecordBatch.from_arrays([*batch.columns, *more.values()], [*batch.schema.names, *more])


def check_same_columns(
    first: DataFile, expected: Mapping[str, Kind], path: DataFile, found: Mapping[str, Kind]
) -> None:
    """Raises a DataError that names the first column in which a file differs from the first one."""
    for name in [*expected, *found]:
        if expected.get(name) != found.get(name):
            kinds = [f"of {table[name]}" if name in table else "missing" for table in (expected, found)]
            raise DataError(
                f"{path}: expected the columns of {first}, but {name!r} is {kinds[0]} there and {kinds[1]} here"
            )

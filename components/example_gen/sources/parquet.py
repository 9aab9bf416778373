"""Parquet files: row groups as shards."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.components.example_gen.sources.files.tables import Table, TableFiles
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.core.errors import DataError
from penstock.core.examples import records
from penstock.core.files.data_files import DataFile, RangedFile

_BUFFER = 1 << 20  # bytes of a column that are read at once: a row group may be larger than memory


@dataclass(frozen=True)
class ParquetSource(TableFiles):
    """Reads row groups. Of an object it asks the store for what it needs of the columns that are read."""

    format_name: ClassVar[str] = "Parquet"

    @classmethod
    def table(cls, file: DataFile) -> Table:
        metadata = _metadata(file)
        groups = [(index, metadata.row_group(index)) for index in range(metadata.num_row_groups)]
        pieces = [
            FilePiece(file, str(file), index, index + 1, group.total_byte_size)
            for index, group in groups
            if group.num_rows
        ]
        return Table(metadata.schema.to_arrow_schema(), tuple(pieces))

    def rows_of(self, piece: FilePiece) -> Iterator[pa.RecordBatch]:
        """Yields batches of a row group."""
        groups = range(piece.start, piece.end)
        try:
            with _opened(piece.path) as file:
                for batch in file.iter_batches(
                    records.BATCH_SIZE, groups, columns=list(self.columns), use_threads=False
                ):
                    yield batch.select(list(self.columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{piece.name}: the Parquet data is damaged: {error}") from None

    def rows(self, piece: FilePiece) -> int:
        """Returns how many rows a row group has, as the file's metadata says."""
        metadata = _metadata(piece.path)
        return sum(metadata.row_group(index).num_rows for index in range(piece.start, piece.end))


@contextlib.contextmanager
def _opened(file: DataFile) -> Iterator[pq.ParquetFile]:
    if isinstance(file, RangedFile):
        with file.open("rb") as opened, pq.ParquetFile(opened) as parquet:
            yield parquet
    else:
        with pq.ParquetFile(file, buffer_size=_BUFFER) as parquet:
            yield parquet


def _metadata(file: DataFile) -> pq.FileMetaData:
    try:
        with _opened(file) as opened:
            return opened.metadata
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file}: expected a whole Parquet file: {error}") from None

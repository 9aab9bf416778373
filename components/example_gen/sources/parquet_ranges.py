"""Parquet files by ranges of their bytes: a range stands for the row groups that begin in it.

So large files are cut without looking into them, as Hadoop and Spark cut them.
"""

from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.core.examples import records
from penstock.core.files import object_stores

_RANGE = 32 << 20  # less than most writers' row groups, so that few files have ranges without any


def ranges(size: int) -> list[tuple[int, int]]:
    """Returns the first and the last byte, the latter excluded, of each range of a file."""
    return [(start, min(start + _RANGE, size)) for start in range(0, max(size, 1), _RANGE)]


def row_groups(metadata: pq.FileMetaData, start: int, end: int) -> tuple[list[int], int]:
    """Returns the row groups that begin in a range, and how many rows of the file are before them."""
    begins = [_begin(metadata.row_group(index).column(0)) for index in range(metadata.num_row_groups)]
    before = sum(metadata.row_group(index).num_rows for index, begin in enumerate(begins) if begin < start)
    return [index for index, begin in enumerate(begins) if start <= begin < end], before


def batches(uri: str, start: int, end: int, names: Collection[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields the rows of a range, each batch with the number of its first row in the file.

    Only the columns of `names`, in small letters, are read; those that the file lacks are left out. Raises a
    FileNotFoundError, an ArrowInvalid for what is no Parquet data, a PenstockError where the store fails.
    """
    with object_stores.opened(uri) as file, pq.ParquetFile(file) as parquet:
        groups, row = row_groups(parquet.metadata, start, end)
        if not groups:
            return
        stored = parquet.schema_arrow.names
        columns = [name for name in stored if name.lower() in names]
        for batch in parquet.iter_batches(records.BATCH_SIZE, groups, columns=columns, use_threads=False):
            yield row, batch
            row += batch.num_rows


def _begin(column: pq.ColumnChunkMetaData) -> int:
    """Returns where the first of a row group's columns begins."""
    if column.has_dictionary_page:
        return int(min(column.dictionary_page_offset, column.data_page_offset))
    return int(column.data_page_offset)

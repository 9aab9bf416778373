"""The rows of a data file as a snapshot has them: without those deleted, with the columns of a schema.

PyIceberg's own scan reads whole files at once (pyiceberg.io.pyarrow.ArrowScan); this is that scan by row groups, made
of its parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from penstock.components.example_gen.sources import parquet_ranges
from penstock.core.examples import records

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import FileScanTask, Table


@dataclass(frozen=True)
class Part:
    """The row groups of a file that begin in a range of its bytes; all of the file where `end` is None."""

    start: int = 0
    end: int | None = None


def parts(file: "DataFile") -> list[tuple[Part, int]]:
    """Returns the parts of a file that can be read apart, and how many bytes each has; its manifest says where."""
    starts = sorted(file.split_offsets or [])
    if len(starts) < 2 or file.file_format != "PARQUET":
        return [(Part(), file.file_size_in_bytes)]
    ends = [*starts[1:], file.file_size_in_bytes]
    return [(Part(start, end), end - start) for start, end in zip(starts, ends, strict=True)]


def rows(
    table: "Table", task: "FileScanTask", part: Part, projection: "Schema", row_filter: "BooleanExpression"
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a part of a file that are not deleted and fit the filter, with the projection's columns."""
    from pyiceberg.expressions import AlwaysTrue
    from pyiceberg.expressions.visitors import bind, extract_field_ids, translate_column_names
    from pyiceberg.io import pyarrow as reader
    from pyiceberg.schema import prune_columns
    from pyiceberg.types import ListType, MapType

    version = table.format_version
    deleted = reader._read_all_delete_files(table.io, [task]).get(task.file.file_path, [])
    with table.io.new_input(task.file.file_path).open() as file:
        fragment = reader._get_file_format(task.file.file_format, pre_buffer=False).make_fragment(file)
        physical = fragment.physical_schema
        schema = reader.pyarrow_to_schema(
            physical, table.name_mapping(), downcast_ns_timestamp_to_us=version <= 2, format_version=version
        )
        known = reader._get_column_projection_values(
            task.file, projection, table.schema(), table.specs().get(task.file.spec_id), schema.field_ids
        )
        bound = bind(table.schema(), row_filter, case_sensitive=True)
        wanted = {
            field for field in projection.field_ids if not isinstance(projection.find_type(field), ListType | MapType)
        }
        keeps = None
        if bound != AlwaysTrue():
            own = translate_column_names(bound, schema, case_sensitive=True, projected_field_values=known)
            keeps = reader.expression_to_pyarrow(bind(schema, own, case_sensitive=True), schema)
        stored = prune_columns(schema, wanted | extract_field_ids(bound), select_full_types=False)
        fragment, row = _part(fragment, part)
        for batch in fragment.to_batches(
            schema=physical,
            columns=[column.name for column in stored.columns],
            batch_size=records.BATCH_SIZE,
            filter=None if deleted else keeps,  # row numbers count all rows
            use_threads=False,
        ):
            left = _left(batch, row, deleted, keeps) if deleted else batch
            row += batch.num_rows
            if left.num_rows:
                yield reader._to_requested_schema(
                    projection,
                    stored,
                    left,
                    downcast_ns_timestamp_to_us=version <= 2,
                    projected_missing_fields=known,
                    allow_timestamp_tz_mismatch=True,
                )


def _part(fragment: ds.Fragment, part: Part) -> tuple[ds.Fragment, int]:
    """Returns the part of a file, and how many rows of the file are before it."""
    if part.end is None:
        return fragment, 0
    groups, before = parquet_ranges.row_groups(fragment.metadata, part.start, part.end)
    return fragment.subset(row_group_ids=groups), before


def _left(
    batch: pa.RecordBatch, row: int, deleted: list[pa.ChunkedArray], keeps: pc.Expression | None
) -> pa.RecordBatch:
    """Returns the rows of a batch that are not deleted and fit the filter; `row` is the number of the first of them."""
    numbers = pa.array(range(row, row + batch.num_rows), pa.int64())
    gone = pa.chunked_array([chunk for positions in deleted for chunk in positions.chunks], pa.int64())
    left = batch.filter(pc.invert(pc.is_in(numbers, value_set=gone)))
    if keeps is None:
        return left
    return next(iter(pa.Table.from_batches([left]).filter(keeps).combine_chunks().to_batches()), left.slice(0, 0))

"""The columns of a data file as the catalogue or the log of its table declares them: their names, types and order.

A file knows a column by its name, whatever the capitals, as Hive does, or by Delta's column mapping.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.errors import DataError

_PHYSICAL = b"delta.columnMapping.physicalName"


def stored_name(field: pa.Field) -> str:
    """Returns what a column is called in the files: with column mapping by a name that no renaming changes."""
    return str((field.metadata or {}).get(_PHYSICAL, field.name.encode()).decode())


def as_declared(rows: pa.RecordBatch, schema: pa.Schema, partition: Mapping[str, Any], where: str) -> pa.RecordBatch:
    """Returns a file's rows with the columns of a schema.

    A partition's columns have its values, those that the file lacks are null, and types that were widened since are
    the wider ones. A DataError, which says `where`, for a column whose values do not fit its type.
    """
    stored = _by_name(rows.schema.names)
    arrays = []
    for field in schema:
        index = stored.get(stored_name(field).lower())
        if field.name in partition:
            arrays.append(pa.repeat(pa.scalar(partition[field.name], field.type), rows.num_rows))
        elif index is None:
            arrays.append(pa.nulls(rows.num_rows, field.type))
        else:
            try:
                arrays.append(_as(rows.column(index), field.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
                raise DataError(
                    f"{where}: column {field.name!r}: the table declares {field.type}, the file has "
                    f"{rows.column(index).type} that do not fit ({error}): correct the table, or leave the column out"
                ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _by_name(names: Iterable[str]) -> dict[str, int]:
    return {name.lower(): index for index, name in enumerate(names)}


def _as(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Returns a column as another type, whose structs have other names, more fields, or another order of them."""
    if column.type == wanted:
        return column
    if pa.types.is_struct(wanted) and pa.types.is_struct(column.type):
        stored = _by_name(field.name for field in column.type)
        fields = [
            _as(pc.struct_field(column, [stored[name]]), field.type)
            if (name := stored_name(field).lower()) in stored
            else pa.nulls(len(column), field.type)
            for field in wanted
        ]
        return pa.StructArray.from_arrays(fields, fields=list(wanted), mask=column.is_null())
    nulls = column.is_null() if column.null_count else None
    if pa.types.is_map(wanted) and pa.types.is_map(column.type):
        keys, items = _as(column.keys, wanted.key_type), _as(column.items, wanted.item_type)
        return pa.MapArray.from_arrays(column.offsets, keys, items, type=wanted, mask=nulls)
    if pa.types.is_list(wanted) and pa.types.is_list(column.type):
        return pa.ListArray.from_arrays(column.offsets, _as(column.values, wanted.value_type), type=wanted, mask=nulls)
    return column.cast(wanted, safe=not pa.types.is_timestamp(wanted))  # nanoseconds of old files become microseconds

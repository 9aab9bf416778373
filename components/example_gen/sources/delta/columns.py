"""The columns of a data file as the table has them: by their logical names, with the table's types."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_PHYSICAL = b"delta.columnMapping.physicalName"


def stored_name(field: pa.Field) -> str:
    """Returns what a column is called in the files: with column mapping by a name that no renaming changes."""
    return str((field.metadata or {}).get(_PHYSICAL, field.name.encode()).decode())


def logical(rows: pa.RecordBatch, schema: pa.Schema, partition: Mapping[str, Any]) -> pa.RecordBatch:
    """Returns a file's rows with the columns of a schema.

    A partition's columns have its values, those that the file lacks are null, and types that were widened since are
    the wider ones.
    """
    arrays = []
    for field in schema:
        name = stored_name(field)
        if field.name in partition:
            arrays.append(pa.repeat(pa.scalar(partition[field.name], field.type), rows.num_rows))
        elif name in rows.schema.names:
            arrays.append(_as(rows.column(name), field.type))
        else:
            arrays.append(pa.nulls(rows.num_rows, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _as(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Returns a column as another type, whose structs have other names, more fields, or another order of them."""
    if pa.types.is_struct(wanted):
        children = {field.name: pc.struct_field(column, [index]) for index, field in enumerate(column.type)}
        fields = [
            _as(children[stored_name(field)], field.type)
            if stored_name(field) in children
            else pa.nulls(len(column), field.type)
            for field in wanted
        ]
        return pa.StructArray.from_arrays(fields, fields=list(wanted), mask=column.is_null())
    nulls = column.is_null() if column.null_count else None
    if pa.types.is_map(wanted):
        keys, items = _as(column.keys, wanted.key_type), _as(column.items, wanted.item_type)
        return pa.MapArray.from_arrays(column.offsets, keys, items, type=wanted, mask=nulls)
    if pa.types.is_list(wanted):
        return pa.ListArray.from_arrays(column.offsets, _as(column.values, wanted.value_type), type=wanted, mask=nulls)
    return column.cast(wanted, safe=not pa.types.is_timestamp(wanted))  # nanoseconds of old files become microseconds

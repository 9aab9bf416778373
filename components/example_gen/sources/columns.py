"""Columns of any Arrow type as features: lists of integers, 32-bit floats or bytes.

A struct's fields become columns of their own, `address.city`, and those of a list of structs become lists,
`items.price`; a map's become `tags.key` and `tags.value`. A null is a feature without values, as in TFX.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.errors import DataError
from penstock.core.suggestions import did_you_mean

type Kind = Literal["no type", "integers", "floats", "bytes"]
_BINARY = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)


def kinds(schema: pa.Schema, where: str) -> dict[str, Kind]:
    """Returns what the values of each feature are, by its name.

    `where` is what a person knows the data by. Raises a DataError for a type that is no feature, and for two columns of
    one name.
    """
    found: dict[str, Kind] = {}
    for field in schema:
        for name, kind in _fields(field.name, field.type):
            if name in found:
                raise DataError(f"{where}: expected different names of columns, found {name!r} twice: rename one")
            found[name] = _kind(kind, name, where)
    return found


def features(rows: pa.RecordBatch, where: str) -> pa.RecordBatch:
    """Returns rows of any types as list columns of int64, float32 or binary, or of null type without any value.

    Integers, booleans and decimals without places become int64, floats and other decimals float32, text and bytes
    binary; dates and times are written as text, as in a CSV file. Raises what `kinds` raises, and a DataError for an
    integer of more than 64 bits and a null within a list.
    """
    columns: dict[str, pa.Array] = {}
    for field, column in zip(rows.schema, rows.columns, strict=True):
        for name, values in _flattened(field.name, column):
            if name in columns:
                raise DataError(f"{where}: expected different names of columns, found {name!r} twice: rename one")
            columns[name] = _feature(values, name, where)
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def selected(schema: pa.Schema, names: Sequence[str] | None, where: str) -> list[str]:
    """Returns the columns to read, all of them where none are named; a DataError for one that does not exist."""
    return selected_names(schema.names, names, where)


def selected_names(there: Sequence[str], names: Sequence[str] | None, where: str) -> list[str]:
    """Returns the columns to read, as `selected` does."""
    for name in names or ():
        if name not in there:
            raise DataError(f"{where}: there is no column {name!r}; {did_you_mean(name, there)}")
    return list(names or there)


def _fields(name: str, arrow: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """Yields the columns that one becomes, and their types. A list is followed no further than to its structs."""
    arrow = _stored(arrow)
    inner = _stored(arrow.value_type) if _is_list(arrow) else arrow
    if pa.types.is_map(arrow):
        inner = pa.struct([("key", arrow.key_type), ("value", arrow.item_type)])
    if not pa.types.is_struct(inner):
        yield name, arrow
        return
    for field in inner:
        in_list = pa.list_(field.type) if inner is not arrow else field.type
        yield from _fields(f"{name}.{field.name}", in_list)


def _flattened(name: str, column: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    """Yields the columns that one becomes: those of a struct's fields."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.large_list(column.type.value_type))
    is_list = _is_list(column.type) or pa.types.is_map(column.type)
    inner = column.values if is_list else column
    if isinstance(inner, pa.ExtensionArray):
        inner = inner.storage
    if not pa.types.is_struct(inner.type):
        yield name, column
        return
    for index, field in enumerate(inner.type):
        values = pc.struct_field(inner, [index])  # null where the struct is
        if is_list:
            values = pa.LargeListArray.from_arrays(
                column.offsets.cast(pa.int64()), values, mask=column.is_null() if column.null_count else None
            )
        yield from _flattened(f"{name}.{field.name}", values)


def _is_list(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_list(arrow) or pa.types.is_large_list(arrow) or pa.types.is_fixed_size_list(arrow))


def _stored(arrow: pa.DataType) -> pa.DataType:
    return arrow.storage_type if isinstance(arrow, pa.BaseExtensionType) else arrow


def _kind(arrow: pa.DataType, name: str, where: str) -> Kind:
    """What the values of a column become."""
    kind = _stored(arrow.value_type) if _is_list(arrow) else arrow
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind):
        return "no type"
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or (pa.types.is_decimal(kind) and kind.scale <= 0):
        return "integers"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "floats"
    is_time = pa.types.is_temporal(kind) and not (pa.types.is_duration(kind) or pa.types.is_interval(kind))
    if is_time or any(is_kind(kind) for is_kind in (*_BINARY, *_TEXT)):
        return "bytes"
    raise DataError(
        f"{where}: column {name!r}: expected numbers, text, bytes, times or lists of them, found {arrow}: "
        "convert it or leave it out"
    )


def _feature(column: pa.Array, name: str, where: str) -> pa.Array:
    """Returns a column as lists of int64, float32 or binary."""
    is_list = _is_list(column.type)
    kind = _kind(column.type, name, where)
    elements = column.flatten() if is_list else column.drop_null()
    if is_list and elements.null_count:
        raise DataError(
            f"{where}: column {name!r}: expected no null within a list, found one: "
            "write a value in its place, or leave the column out"
        )
    if kind == "no type":
        return pa.nulls(len(column))
    values = _values(elements, kind, name, where)
    if is_list:
        lengths = pc.fill_null(pc.list_value_length(column), 0)
    else:
        lengths = pc.cast(column.is_valid(), pa.int64())
    ends = pc.cumulative_sum(lengths.cast(pa.int64()))
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
    return pa.LargeListArray.from_arrays(offsets, values, mask=column.is_null() if column.null_count else None)


def _values(elements: pa.Array, kind: Kind, name: str, where: str) -> pa.Array:
    if isinstance(elements, pa.ExtensionArray):
        elements = elements.storage
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

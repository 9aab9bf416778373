"""Avro's types as Arrow's, by the specification's names: records as structs, decimals, dates and times as such."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa

from penstock.components.example_gen.sources.files import avro_types
from penstock.core.errors import DataError

_LOGICAL = {logical: arrow for (_, logical), arrow in avro_types.LOGICAL.items()}
_NUMBERS = ("int", "long", "float", "double")
_ASIDE = {"uuid", "duration", "timestamp-nanos", "local-timestamp-nanos"}  # read as what they are stored as


def stored(schema: Any) -> Any:
    """Returns a schema without those logical types that have no type here: a UUID is its text."""
    if isinstance(schema, list):
        return [stored(branch) for branch in schema]
    if isinstance(schema, dict):
        kept = {key: value for key, value in schema.items() if not (key == "logicalType" and value in _ASIDE)}
        nested = {key: stored(kept[key]) for key in ("type", "items", "values") if key in kept}
        fields = {"fields": [stored(field) for field in kept["fields"]]} if "fields" in kept else {}
        return kept | nested | fields
    return schema


def columns(schema: Any, named: Mapping[str, Any]) -> pa.Schema:
    """Returns the columns of a record's schema, as fastavro parses it, with the types that are `named` in it.

    Raises a DataError for what is no record, and for a type that is no column: one that contains itself, or a union of
    text and numbers.
    """
    if not (isinstance(schema, dict) and schema.get("type") in ("record", "error")):
        raise DataError(f"Avro: expected a record, whose fields are the columns, found {_name(schema)}")
    return pa.schema([(field["name"], _type(field["type"], named, (field["name"],), ())) for field in schema["fields"]])


def _type(schema: Any, named: Mapping[str, Any], path: tuple[str, ...], within: tuple[str, ...]) -> pa.DataType:
    if isinstance(schema, list):
        return _union([branch for branch in schema if branch != "null"], named, path, within)
    if isinstance(schema, str):
        if schema in avro_types.PLAIN:
            return avro_types.PLAIN[schema]
        if schema in within:
            raise DataError(
                f"Avro: column {'.'.join(path)}: {schema} contains itself: name the other columns in kafka.columns"
            )
        return _type(named[schema], named, path, within)
    kind = schema["type"]
    if kind == "record":
        inside = (*within, schema["name"])
        fields = [
            (field["name"], _type(field["type"], named, (*path, field["name"]), inside)) for field in schema["fields"]
        ]
        return pa.struct(fields)
    if kind == "array":
        return pa.list_(_type(schema["items"], named, path, within))
    if kind == "map":
        return pa.map_(pa.string(), _type(schema["values"], named, path, within))
    logical = schema.get("logicalType")
    if logical == "decimal":
        digits, places = schema["precision"], schema.get("scale", 0)
        return pa.decimal128(digits, places) if digits <= 38 else pa.decimal256(digits, places)
    return _LOGICAL[logical] if logical in _LOGICAL else _type(kind, named, path, within)


def _union(
    branches: list[Any], named: Mapping[str, Any], path: tuple[str, ...], within: tuple[str, ...]
) -> pa.DataType:
    if len(branches) == 1:
        return _type(branches[0], named, path, within)
    if not branches:
        return pa.null()
    if all(branch in _NUMBERS for branch in branches if isinstance(branch, str)) and _all_text(branches):
        return pa.float64() if {"float", "double"} & set(branches) else pa.int64()
    kinds = ", ".join(map(_name, branches))
    raise DataError(
        f"Avro: column {'.'.join(path)}: expected one type, or none, found a union of {kinds}: name the other columns "
        "in kafka.columns"
    )


def _all_text(branches: Iterable[Any]) -> bool:
    return all(isinstance(branch, str) for branch in branches)


def _name(schema: Any) -> str:
    return str(schema.get("name", schema.get("type"))) if isinstance(schema, dict) else str(schema)


def as_arrow(arrow: pa.DataType) -> Callable[[Any], Any] | None:
    """Returns what makes of fastavro's value that which Arrow reads as a type: maps as pairs; None where it is that."""
    if pa.types.is_map(arrow):
        inner = as_arrow(arrow.item_type)
        return lambda value: value and [(key, inner(item) if inner else item) for key, item in value.items()]
    if pa.types.is_list(arrow):
        inner = as_arrow(arrow.value_type)
        return (lambda value: value and [inner(item) for item in value]) if inner else None
    if pa.types.is_struct(arrow):
        fields = {field.name: convert for field in arrow if (convert := as_arrow(field.type))}
        if not fields:
            return None
        return lambda value: (
            value and {name: fields[name](item) if name in fields else item for name, item in value.items()}
        )
    return None

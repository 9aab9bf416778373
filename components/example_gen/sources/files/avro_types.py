"""Avro's types as Arrow's."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from penstock.core.errors import DataError

PLAIN: Mapping[str, pa.DataType] = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
    "fixed": pa.binary(),
}
LOGICAL: Mapping[tuple[str, str], pa.DataType] = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    ("long", "timestamp-millis"): pa.timestamp("ms", "UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", "UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("ms"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
}
_WIDER = ("int", "long", "float", "double")


def schema(avro: Any, where: str) -> pa.Schema:
    """Returns the columns of a record, whose names are parsed as fastavro does (all types in full, names resolved).

    Raises a DataError for what is no record, for a type that holds itself, and for a union of more than one type
    beside null, unless all are numbers.
    """
    if not isinstance(avro, dict) or avro.get("type") != "record":
        raise DataError(f"{where}: expected Avro records, found {_name(avro)}: a table needs named columns")
    named: dict[str, Any] = {}
    return pa.schema(_fields(avro, where, named, ()))


def _fields(record: Mapping[str, Any], where: str, named: dict[str, Any], inside: tuple[str, ...]) -> list[pa.Field]:
    named[record["name"]] = record
    inside = (*inside, record["name"])
    return [
        pa.field(part["name"], _type(part["type"], f"{where}: column {part['name']!r}", named, inside))
        for part in record["fields"]
    ]


def _type(avro: Any, where: str, named: dict[str, Any], inside: tuple[str, ...]) -> pa.DataType:
    if isinstance(avro, list):
        return _union(avro, where, named, inside)
    if isinstance(avro, str):
        if avro in PLAIN:
            return PLAIN[avro]
        if avro in inside:
            raise DataError(f"{where}: expected a type that does not hold itself, found {avro}: leave it out")
        return _type(named[avro], where, named, inside)
    kind, logical = avro["type"], avro.get("logicalType")
    if isinstance(kind, dict | list):
        return _type(kind, where, named, inside)
    if kind in ("enum", "fixed"):
        named[avro["name"]] = avro
    if logical == "decimal":
        return pa.decimal128(avro["precision"], avro.get("scale", 0))
    if kind == "record":
        return pa.struct(_fields(avro, where, named, inside))
    if kind == "array":
        return pa.list_(_type(avro["items"], where, named, inside))
    if kind == "map":
        return pa.map_(pa.string(), _type(avro["values"], where, named, inside))
    return LOGICAL.get((kind, logical), PLAIN.get(kind) or _type(kind, where, named, inside))


def _union(options: list[Any], where: str, named: dict[str, Any], inside: tuple[str, ...]) -> pa.DataType:
    others = [one for one in options if one != "null"]
    if not others:
        return pa.null()
    if len(others) > 1:
        if all(one in _WIDER for one in others):
            whole = all(one in ("int", "long") for one in others)
            return pa.int64() if whole else pa.float64()
        raise DataError(
            f"{where}: expected one type, or one and null, found {', '.join(map(_name, others))}: leave it out"
        )
    return _type(others[0], where, named, inside)


def _name(avro: Any) -> str:
    if isinstance(avro, dict):
        return str(avro.get("name") or avro.get("type"))
    return "a union" if isinstance(avro, list) else str(avro)

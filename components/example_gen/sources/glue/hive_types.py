"""Hive's types, as Glue writes them, as Arrow's: `array<struct<a:decimal(10,2)>>`."""

import re

import pyarrow as pa

from penstock.core.errors import DataError

_SIMPLE = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "long": pa.int64(),
    "float": pa.float32(),
    "real": pa.float32(),
    "double": pa.float64(),
    "double precision": pa.float64(),
    "string": pa.string(),
    "varchar": pa.string(),
    "char": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamp with local time zone": pa.timestamp("us", "UTC"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "void": pa.null(),
}
_DECIMAL = (10, 0)  # Hive's own, where none is said
_TOKENS = re.compile(r"\s*([<>,:()]|[^<>,:()]+)")


def arrow(hive: str, where: str) -> pa.DataType:
    """Returns a type; a DataError, which says `where`, for one that has no values of one kind, such as a union."""
    tokens = [token.strip() for token in _TOKENS.findall(hive) if token.strip()]
    try:
        found = _type(tokens)
        if tokens:
            raise ValueError(tokens[0])
    except (ValueError, IndexError):
        raise DataError(f"{where}: expected a type of Hive's, found {hive!r}: leave the column out") from None
    return found


def _type(tokens: list[str]) -> pa.DataType:
    """Takes a type off the tokens; a ValueError or IndexError for what is none."""
    name = tokens.pop(0).lower()
    if name == "array":
        _take(tokens, "<")
        inner = _type(tokens)
        _take(tokens, ">")
        return pa.list_(inner)
    if name == "map":
        _take(tokens, "<")
        key = _type(tokens)
        _take(tokens, ",")
        value = _type(tokens)
        _take(tokens, ">")
        return pa.map_(key, value)
    if name == "struct":
        return pa.struct(_fields(tokens))
    numbers = _numbers(tokens)
    if name in ("decimal", "numeric"):
        precision, scale = (numbers + [0])[:2] if numbers else _DECIMAL
        return pa.decimal128(precision, scale)
    if name not in _SIMPLE:
        raise ValueError(name)
    return _SIMPLE[name]


def _fields(tokens: list[str]) -> list[pa.Field]:
    _take(tokens, "<")
    fields: list[pa.Field] = []
    while tokens[0] != ">":
        if fields:
            _take(tokens, ",")
        name = tokens.pop(0)
        _take(tokens, ":")
        fields.append(pa.field(name, _type(tokens)))
    _take(tokens, ">")
    return fields


def _numbers(tokens: list[str]) -> list[int]:
    if tokens[:1] != ["("]:
        return []
    end = tokens.index(")")
    numbers = [int(token) for token in tokens[1:end] if token != ","]
    del tokens[: end + 1]
    return numbers


def _take(tokens: list[str], expected: str) -> None:
    if tokens.pop(0) != expected:
        raise ValueError(expected)

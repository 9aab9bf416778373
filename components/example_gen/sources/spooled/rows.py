"""Rows that are Python's values, as JSON and Avro give them, as Arrow columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from penstock.core.errors import DataError
from penstock.core.text import printable


def record_batch(rows: Sequence[Mapping[str, Any]], names: Sequence[str], where: str) -> pa.RecordBatch:
    """Returns rows with the columns of these names, or of all that a row has, each of the type of its values.

    Raises a DataError that names the column for values that are of no one type, such as numbers beside texts.
    """
    if not names:
        names = list(dict.fromkeys(name for row in rows for name in row))
    arrays = [_array([row.get(name) for row in rows], name, where) for name in names]
    if not names:
        return pa.RecordBatch.from_arrays([pa.nulls(len(rows))], ["none"]).select([])
    return pa.RecordBatch.from_arrays(arrays, list(names))


def _array(values: list[Any], name: str, where: str) -> pa.Array:
    try:
        return pa.array(values)
    except OverflowError:
        raise DataError(f"{where}: column {name!r}: expected integers of 64 bits, found a greater one") from None
    except UnicodeEncodeError:
        raise DataError(
            f"{where}: column {name!r}: expected text, found half a character, \\ud800 to \\udfff"
        ) from None
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        if all(value is None or type(value) in (int, float) for value in values):
            return pa.array([None if value is None else float(value) for value in values], pa.float64())
        found = _two_kinds(values)
        raise DataError(
            f"{where}: column {name!r}: expected values of one type, found {found or printable.value(str(error))}: "
            "write it alike in all rows, or leave the column out"
        ) from None


def _two_kinds(values: Sequence[Any]) -> str:
    """Returns two values of different types in words, "" where the difference is within them."""
    first: Any = None
    for value in values:
        if first is None:
            first = value
        elif value is not None and type(value) is not type(first) and {type(value), type(first)} != {int, float}:
            return f"{printable.value(first)} and {printable.value(value)}"
    return ""

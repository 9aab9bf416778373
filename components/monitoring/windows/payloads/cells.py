"""Values of JSON as Arrow columns, whatever they are: what does not fit the schema is seen later, with its feature."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.components.monitoring.windows import columns
from penstock.components.monitoring.windows.payloads.instances import bytes_of, is_b64
from penstock.core.files import documents

_EXACT = 1 << 53  # up to here each whole number is a double
_INT64 = range(-(1 << 63), 1 << 63)
_MISFITS = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeEncodeError)


def column(cells: Sequence[Any]) -> pa.Array:
    """Returns a column of values, of lists of them, or of None.

    Where numbers and text come together all are text, as in a column of a CSV file. So are numbers of which one is
    whole and too large for an int64 or, beside fractions, for a double. Objects are the text of their JSON. So what a
    value is in the schema's type does not depend on those that come with it.
    """
    try:
        made = pa.array(cells)
    except _MISFITS:
        return _flattened(cells)
    return _flattened(cells) if _has_structs(made.type) else made


def _has_structs(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind) or (pa.types.is_list(kind) and _has_structs(kind.value_type)))


def _flattened(cells: Sequence[Any]) -> pa.Array:
    """Returns lists of the values, which may be of any types."""
    listed = [_values(cell) for cell in cells]
    counts: npt.NDArray[np.int64] = np.array([len(values) for values in listed], np.int64)
    values = [value for row in listed for value in row]
    numbers = [value for value in values if isinstance(value, int | float)]  # and booleans
    if len(numbers) == len(values):
        if all(isinstance(value, int) and value in _INT64 for value in numbers):
            return columns.of_counts(counts, pa.array([int(value) for value in numbers], pa.int64()))
        if all(_is_double(value) for value in numbers):
            return columns.of_counts(counts, pa.array([float(value) for value in numbers], pa.float64()))
    return columns.of_counts(counts, pa.array([_bytes(value) for value in values], pa.large_binary()))


def _values(cell: object) -> list[object]:
    """Returns the values of lists within lists, without None."""
    waiting, values = [cell], list[object]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += reversed(one)
        elif one is not None:
            values.append(one)
    return values


def _is_double(value: int | float) -> bool:
    """Whether a double is the same number: else a whole one is only as text what it is, such as an id."""
    return isinstance(value, float) or abs(value) <= _EXACT


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode(errors="replace")
    if is_b64(value):
        return bytes_of(value)
    if isinstance(value, int | float):
        return columns.number_text(value)
    return documents.json_text(value).encode(errors="replace")

"""Columns of any type as lists of the schema's types, as Examples give them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core import csv_format

TYPES: dict[int, pa.DataType] = {
    schema_pb2.FLOAT: pa.float32(),
    schema_pb2.INT: pa.int64(),
    schema_pb2.BYTES: pa.large_binary(),
}
_WORDS = {pa.float32(): "a number", pa.int64(): "a whole number", pa.large_binary(): "text"}

type _Bools = npt.NDArray[np.bool_]
type _Counts = npt.NDArray[np.int64]  # of the values of each row


@dataclass(frozen=True)
class Lists:
    """A column of large lists, in which a row without a value is null; and how many values do not fit the type."""

    column: pa.LargeListArray
    unfit: int
    expected: str


def to_lists(column: pa.Array, kind: pa.DataType) -> Lists:
    """Returns the values of each row as a list of `kind`: float32, int64 or large_binary. Nested lists are flattened.

    Numbers in text are numbers, numbers are text where the schema has text, 3.0 is a whole number, and booleans are 1
    and 0. Values that do not fit are left out.
    """
    counts, values = _flat(column)
    converted, fits = _convert(values, kind)
    if not fits.all():
        rows: npt.NDArray[np.int64] = np.repeat(np.arange(len(counts)), counts)
        counts = np.bincount(rows[fits], minlength=len(counts))
        converted = converted.filter(pa.array(fits))
    return Lists(of_counts(counts, converted), int((~fits).sum()), _WORDS[kind])


def of_counts(counts: _Counts, values: pa.Array) -> pa.LargeListArray:
    """Returns lists of so many values each; null where there is none."""
    offsets: _Counts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    empty: _Bools = np.append(counts == 0, False)
    return pa.LargeListArray.from_arrays(pa.array(offsets, mask=empty if empty.any() else None), values)


def number_text(value: float) -> bytes:
    """Returns a number as text; 3.0, which may come as 3 in another batch, is 3."""
    is_whole = isinstance(value, int) or (value.is_integer() and abs(value) < 2.0**63)
    return (str(int(value)) if is_whole else repr(value)).encode()


def shortest(value: np.float32) -> float:
    """Returns the number that the shortest text of a float32 is, 0.1 for the one next to it; whole numbers as they are.

    The float32 of the result is the same.
    """
    number = float(value)
    return number if number.is_integer() and abs(number) < 2.0**63 else float(str(value))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text or bytes, alone or in lists."""
    if pa.types.is_dictionary(kind) or _is_list(kind):
        return is_text(kind.value_type)
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(text or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _flat(column: pa.Array) -> tuple[_Counts, pa.Array]:
    """Returns how many values each row has, and all values."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not _is_list(column.type):
        present: _Counts = column.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
        return present, column.drop_null()
    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.large_list(column.type.value_type))
    lengths: _Counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    inner, values = _flat(column.flatten())
    ends = np.concatenate([[0], np.cumsum(inner)])
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    return np.diff(ends[bounds]), values


def _convert(values: pa.Array, kind: pa.DataType) -> tuple[pa.Array, _Bools]:
    """Returns values of a type, and which of them fit; in place of the others stands any value."""
    every: _Bools = np.ones(len(values), bool)
    source = values.type
    if source.equals(kind):
        return values, every
    text = is_text(source)
    if kind.equals(pa.large_binary()):
        if text:
            return values.cast(kind), every
        if pa.types.is_integer(source):
            return values.cast(pa.large_string()).cast(kind), every
        if pa.types.is_floating(source) or pa.types.is_boolean(source):
            if source.equals(pa.float32()):  # the text of the double that is next to 0.1 would be another one
                return pa.array([number_text(shortest(value)) for value in values.to_numpy()], kind), every
            return pa.array([number_text(value) for value in values.to_pylist()], kind), every
        return pa.array([b""] * len(values), kind), ~every
    if text:
        numbers = [csv_format.number(value.decode(errors="replace")) for value in values.cast(pa.binary()).to_pylist()]
        doubles: npt.NDArray[np.float64] = np.array([np.nan if one is None else one for one in numbers], float)
        every = np.array([one is not None for one in numbers], bool)
    elif pa.types.is_integer(source) or pa.types.is_boolean(source):
        return values.cast(pa.int64(), safe=False).cast(kind, safe=False), every
    elif pa.types.is_floating(source):
        doubles = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    else:
        return pa.array(np.zeros(len(values)), kind), ~every
    if kind.equals(pa.float32()):
        with np.errstate(over="ignore"):
            return pa.array(doubles.astype(np.float32)), every
    every &= np.isfinite(doubles) & (np.floor(doubles) == doubles) & (np.abs(doubles) < 2.0**63)
    return pa.array(np.where(every, doubles, 0).astype(np.int64)), every

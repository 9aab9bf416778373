"""CSV texts as the rows of a signature, and its outputs as CSV."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from penstock.components.model_server.encoding import objects
from penstock.components.model_server.inference import Kind, RequestError, ServedSignature
from penstock.core.suggestions import listed
from penstock.core.text import printable

_TRUE, _FALSE = ("true", "1"), ("false", "0")


@dataclass(frozen=True)
class _Column:
    """One or several columns of a feature or an input; `width` is None for an only input of any number of values."""

    name: str
    dtype: tf.DType
    width: int | None
    is_list: bool


def rows(text: bytes, signature: ServedSignature, header: bool | None = None) -> list[object]:
    """Returns an object for each line, as JSON would have it.

    Columns are the signature's features or inputs in their order, or as a header names them. Without knowing (`header`
    is None), the first line is a header if it names every required feature or input, and at least one. An empty cell is
    no value. Raises a RequestError (INVALID) that names line and column.
    """
    lines = _lines(text)
    if not lines:
        raise _invalid("the body: expected CSV with a line for each row, received nothing")
    columns = _columns(signature)
    if header or (header is None and _is_header(lines[0][1], signature)):
        by_name = {column.name: column for column in columns}
        names = lines.pop(0)[1]
        if not lines:
            raise _invalid("the body: expected CSV with a line for each row after the header")
        columns = [by_name.get(name, _Column(name, tf.string, 1, False)) for name in names]
    return [_row(number, cells, columns, bool(signature.features)) for number, cells in lines]


def text(outputs: Mapping[str, np.ndarray]) -> bytes:
    """Returns a line for each row, with the values of all outputs in the order of their names."""
    counts = {output.shape[0] if output.ndim else -1 for output in outputs.values()}
    if len(counts) != 1 or -1 in counts:
        raise _invalid("the outputs have no common number of rows, so they cannot be CSV: accept application/json")
    (count,) = counts
    columns = [_texts(outputs[name].reshape(count, -1)) for name in sorted(outputs)]
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows(np.concatenate(columns, axis=1).tolist())
    return written.getvalue().encode()


def _lines(text: bytes) -> list[tuple[int, list[str]]]:
    """Returns the cells of each line that is not blank, with the line's number."""
    try:
        reader = csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""), strict=True)
        return [(reader.line_num, cells) for cells in reader if cells]
    except UnicodeDecodeError:
        raise _invalid("the body: expected CSV in UTF-8") from None
    except csv.Error as error:
        raise _invalid(f"the body: expected CSV: line {reader.line_num}: {error}") from None


def _columns(signature: ServedSignature) -> list[_Column]:
    if signature.features:
        return [_Column(one.name, one.dtype, 1, False) for one in signature.features.values()]
    columns = []
    for name, tensor in signature.inputs.items():
        sizes = tensor.shape[1:] if tensor.shape is not None else (None,)
        if len(sizes) > 1 or (None in sizes and len(signature.inputs) > 1):
            raise _invalid(f"input {name!r} has rows of several dimensions, which CSV has not: send application/json")
        columns.append(_Column(name, tensor.dtype, sizes[0] if sizes else 1, bool(sizes)))
    return columns


def _is_header(cells: Sequence[str], signature: ServedSignature) -> bool:
    required = [name for name, feature in signature.features.items() if feature.required]
    known = signature.features.keys() or signature.inputs.keys()
    return set(required if signature.features else known) <= set(cells) and not known.isdisjoint(cells)


def _row(number: int, cells: Sequence[str], columns: Sequence[_Column], are_features: bool) -> object:
    widths = [column.width if column.width is not None else len(cells) for column in columns]
    if len(cells) != sum(widths):
        names = listed([column.name for column in columns])
        raise _invalid(f"line {number}: expected {sum(widths)} columns ({names}), received {len(cells)}")
    row: dict[str, object] = {}
    start = 0
    for column, width in zip(columns, widths, strict=True):
        values = [_value(number, column, cell, are_features) for cell in cells[start : start + width]]
        start += width
        if column.is_list:
            row[column.name] = values
        elif values[0] is not None:
            row[column.name] = values[0]
    return row


def _value(number: int, column: _Column, cell: str, is_feature: bool) -> object:
    if not cell and is_feature:
        return None
    try:
        return _converter(column.dtype)(cell)
    except ValueError:
        raise _invalid(
            f"line {number}, column {printable.value(column.name)}: expected {column.dtype.name}, "
            f"received {printable.value(cell)}"
        ) from None


def _converter(dtype: tf.DType) -> Callable[[str], object]:
    if dtype == tf.string:
        return str
    if dtype == tf.bool:
        return _boolean
    return _whole if dtype.is_integer else float


def _whole(cell: str) -> int:
    """Returns a whole number; pandas writes it as 3.0 where another row has no value."""
    try:
        return int(cell)
    except ValueError:
        number = float(cell)
        if not math.isfinite(number) or not number.is_integer():
            raise ValueError(cell) from None
        return int(number)


def _boolean(cell: str) -> bool:
    if cell.lower() not in _TRUE + _FALSE:
        raise ValueError(cell)
    return cell.lower() in _TRUE


def _texts(values: np.ndarray) -> np.ndarray:
    if values.dtype != object:
        return objects.array(values.astype(str).ravel().tolist(), values.shape)
    return objects.array([value.decode(errors="replace") for value in values.ravel()], values.shape)


def _invalid(sentence: str) -> RequestError:
    return RequestError(Kind.INVALID, sentence)

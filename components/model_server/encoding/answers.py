"""A signature's outputs as JSON's values, in TensorFlow Serving's form.

Bytes are texts, and `{"b64": …}` where they are no text or the output's name ends in `_bytes`. NaN and infinities are
written as Python writes them, although JSON has no such numbers.
"""

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from penstock.components.model_server.encoding.rows import B64
from penstock.components.model_server.inference import Kind, RequestError

_ALWAYS_ENCODED = "_bytes"
_NAN, _INFINITY, _MINUS_INFINITY = (orjson.Fragment(text) for text in (b"NaN", b"Infinity", b"-Infinity"))


def rows(outputs: Mapping[str, np.ndarray]) -> list[object]:
    """Returns a list with an item for each row: the values of the only output, or an object of all."""
    counts = {output.shape[0] if output.ndim else None for output in outputs.values()}
    if len(counts) != 1 or None in counts:
        shapes = ", ".join(f"{name} {list(output.shape)}" for name, output in sorted(outputs.items()))
        raise RequestError(
            Kind.INVALID,
            f'the outputs have no common number of rows ({shapes}): ask for columns, with "inputs" for "instances"',
        )
    values = {name: _values(name, output) for name, output in sorted(outputs.items())}
    if len(values) == 1:
        return list(*values.values())
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def columns(outputs: Mapping[str, np.ndarray]) -> object:
    """Returns an object with an array for each output; of an only output, the array itself."""
    values = {name: _values(name, output) for name, output in sorted(outputs.items())}
    return next(iter(values.values())) if len(values) == 1 else values


def _values(name: str, output: np.ndarray) -> Any:
    """Returns what orjson writes: an array of numbers as it is, else lists within lists."""
    kind = output.dtype.kind
    if kind == "V":  # bfloat16 and others of ml_dtypes
        output, kind = output.astype(np.float32), "f"
    if kind in "biu" or (kind == "f" and np.isfinite(output).all()):
        return np.ascontiguousarray(output) if output.ndim else output.item()
    if kind == "f":
        return _each(output, _number)
    if kind in "OS":
        return _each(output, _encoded if name.endswith(_ALWAYS_ENCODED) else _text)
    raise RequestError(Kind.INVALID, f"output {name!r} is of type {output.dtype.name}, which JSON has no values for")


def _each(values: Any, convert: Callable[[Any], object]) -> Any:
    """Returns the values of an array as lists within lists, each converted."""
    if isinstance(values, np.ndarray):
        return convert(values.item()) if not values.ndim else [_each(value, convert) for value in values]
    return convert(values)


def _number(value: Any) -> object:
    """Returns a number, of which an array's own type has the fewest digits; what JSON lacks, as Python writes it."""
    if math.isfinite(value):
        return value
    return _NAN if math.isnan(value) else _INFINITY if value > 0 else _MINUS_INFINITY


def _text(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _encoded(value)


def _encoded(value: bytes) -> dict[str, str]:
    return {B64: base64.b64encode(value).decode()}

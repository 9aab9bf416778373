"""Tensors of the protocol: arrays from a list of values or from raw bytes, and raw bytes from arrays."""

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penstock.components.model_server.encoding import objects
from penstock.components.model_server.failures import Kind, RequestError
from penstock.components.model_server.open_inference import datatypes
from penstock.core.suggestions import listed
from penstock.core.text import printable

_MOST_DIMENSIONS = 32  # numpy has no more than 64


@dataclass(frozen=True, slots=True)
class InferTensor:
    """An input of a request. `values` has the tensor's shape; that of a BYTES tensor holds bytes."""

    name: str
    values: np.ndarray


def from_values(name: str, datatype: str, shape: Sequence[object], values: list[object]) -> InferTensor:
    """Returns the tensor of values in a list, or in lists of lists, in row-major order.

    A value of a BYTES tensor is bytes, a text, or {"b64": "…"}. Raises a RequestError (INVALID).
    """
    dtype, sizes = _dtype(name, datatype), _shape(name, shape)
    flat = _flattened(name, values, len(sizes))
    _check_count(name, sizes, len(flat))
    _check_types(name, datatype, dtype, flat)
    if datatype == datatypes.BYTES:
        strings = [value if isinstance(value, bytes) else _bytes(name, value) for value in flat]
        return InferTensor(name, objects.array(strings, sizes))
    try:
        with np.errstate(over="raise"):
            return InferTensor(name, np.array(flat, dtype).reshape(sizes))
    except (OverflowError, FloatingPointError):
        raise _invalid(name, f"expected values of {datatype}, received one that is too large for it") from None


def from_raw(name: str, datatype: str, shape: Sequence[object], raw: bytes) -> InferTensor:
    """Returns the tensor of bytes: little-endian numbers, or strings that each follow their length in four bytes.

    Raises a RequestError (INVALID).
    """
    dtype, sizes = _dtype(name, datatype), _shape(name, shape)
    if datatype == datatypes.BYTES:
        strings = _strings(name, raw)
        _check_count(name, sizes, len(strings))
        return InferTensor(name, objects.array(strings, sizes))
    expected = math.prod(sizes) * dtype.itemsize
    if len(raw) != expected:
        raise _invalid(
            name, f"expected {expected} bytes for {datatype} of shape {list(sizes)}, received {len(raw)} bytes"
        )
    return InferTensor(name, np.frombuffer(raw, dtype).reshape(sizes))


def to_raw(array: np.ndarray) -> bytes:
    """Returns the bytes of which `from_raw` makes the array."""
    if array.dtype != object:
        return array.tobytes()
    return b"".join(part for value in array.ravel() for part in (struct.pack("<I", len(value)), value))


def from_base64(tensor: InferTensor) -> InferTensor:
    """Decodes a BYTES tensor whose values are base64, as clients mark it: `"content_type": "base64"`."""
    decoded = [_decoded(tensor.name, value) for value in tensor.values.ravel()]
    return InferTensor(tensor.name, objects.array(decoded, tensor.values.shape))


def _dtype(name: str, datatype: str) -> np.dtype:
    dtype = datatypes.dtype(datatype)
    if dtype is None:
        raise _invalid(name, f"expected a datatype ({listed(datatypes.NAMES)}), received {printable.value(datatype)}")
    return dtype


def _shape(name: str, shape: Sequence[object]) -> tuple[int, ...]:
    sizes = tuple(size for size in shape if type(size) is int and 0 <= size < 2**63)
    if len(sizes) != len(shape) or len(sizes) > _MOST_DIMENSIONS:
        raise _invalid(
            name, f"expected a shape of at most {_MOST_DIMENSIONS} whole numbers, received {printable.value(shape)}"
        )
    return sizes


def _flattened(name: str, values: list[object], dimensions: int) -> list[object]:
    """Returns the values of lists of lists; a flat list, which most are, is returned as it is."""
    for _ in range(dimensions):
        if list not in set(map(type, values)):
            return values
        values = [inner for value in values for inner in (value if isinstance(value, list) else [value])]
    if list in set(map(type, values)):
        raise _invalid(name, f"expected data in {dimensions} dimensions as its shape has them, received deeper lists")
    return values


def _check_count(name: str, sizes: tuple[int, ...], count: int) -> None:
    if math.prod(sizes) != count:
        raise _invalid(name, f"expected {math.prod(sizes)} values for the shape {list(sizes)}, received {count} values")


def _check_types(name: str, datatype: str, dtype: np.dtype, values: list[object]) -> None:
    match dtype.kind:
        case "b":
            types: set[type] = {bool}
        case "i" | "u":
            types = {int}
        case "O":
            types = {bytes, str, dict}
        case _:
            types = {int, float}
    if set(map(type, values)) <= types:
        return
    index, value = next((index, value) for index, value in enumerate(values) if type(value) not in types)
    raise _invalid(name, f"expected values of {datatype}, received {printable.value(value)} at position {index}")


def _bytes(name: str, value: object) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    if isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str):
        return _decoded(name, value["b64"])
    raise _invalid(name, f'expected a text or {{"b64": "…"}}, received {printable.value(value)}')


def _decoded(name: str, value: str | bytes) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid(name, f"expected base64, received {printable.value(value)}") from None


def _strings(name: str, raw: bytes) -> list[bytes]:
    strings, start = [], 0
    while start < len(raw):
        end = start + 4
        if end <= len(raw):
            (length,) = struct.unpack_from("<I", raw, start)
            start, end = end, end + length
        if end > len(raw):
            raise _invalid(name, "expected strings that each follow their length in four bytes, received fewer bytes")
        strings.append(raw[start:end])
        start = end
    return strings


def _invalid(name: str, sentence: str) -> RequestError:
    return RequestError(Kind.INVALID, f"input {printable.value(name)}: {sentence}")

"""JSON's values as the tensors of a signature's inputs, checked as far as JSON can be wrong."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from penstock.components.model_server.encoding.rows import B64, decode_b64
from penstock.components.model_server.inference import Kind, RequestError
from penstock.core.models.signatures import Tensor
from penstock.core.text import printable

_DEEPEST = 32  # NumPy's dimensions, of which TensorFlow takes fewer
_KINDS = {"f": "iuf", "i": "iuf", "u": "iuf", "b": "b", "V": "iuf"}  # what may be cast to which; V: bfloat16


def array(name: str, tensor: Tensor, values: object) -> np.ndarray:
    """Returns the values of an input as an array of its type.

    Values without a last dimension of 1 get it, if the input has one. Raises a RequestError that names the input.
    """
    try:
        result = _texts(values) if tensor.dtype == tf.string else _numbers(values, tensor.dtype)
    except _Misfit as misfit:
        raise RequestError(Kind.INVALID, f"input {name!r}: {misfit}") from None
    shape = tensor.shape
    if shape is not None and result.ndim == len(shape) - 1 and shape[-1] == 1:
        return result[..., np.newaxis]
    return result


class _Misfit(Exception):
    """What was expected, and what was received."""


def _numbers(values: object, dtype: tf.DType) -> np.ndarray:
    target = np.dtype(dtype.as_numpy_dtype)
    expected = f"expected {dtype.name} values"
    try:
        result: np.ndarray = np.array(values)
    except ValueError:
        raise _Misfit(f"{expected}, received lists of different lengths") from None
    if not result.size:
        empty: np.ndarray = np.empty(result.shape, target)
        return empty
    if result.dtype.kind not in _KINDS.get(target.kind, ""):
        raise _Misfit(f"{expected}, received {printable.value(_odd(values, target.kind))}")
    if result.dtype == target:
        return result
    if target.kind in "iu":
        return _whole(result, target, expected)
    with np.errstate(over="ignore"):
        cast: np.ndarray = result.astype(target)
    too_large = np.isfinite(result) & ~np.isfinite(cast)
    if too_large.any():
        raise _Misfit(f"{expected}, received {result[too_large][0]}: it is too large")
    return cast


def _whole(result: np.ndarray, target: np.dtype, expected: str) -> np.ndarray:
    if result.dtype.kind == "f":
        broken = ~np.isfinite(result) | (result != np.floor(result))
        if broken.any():
            raise _Misfit(f"{expected}, received {result[broken][0]}")
    least, most = np.iinfo(target).min, np.iinfo(target).max
    for value in (result.min(), result.max()):
        if not least <= int(value) <= most:
            raise _Misfit(f"{expected}, received {int(value)}: it is out of range")
    whole: np.ndarray = result.astype(target)
    return whole


def _odd(values: object, kind: str) -> object:
    """Returns the first value that is not of the kind, for a sentence."""
    if isinstance(values, list):
        return next((odd for value in values if (odd := _odd(value, kind)) is not None), None)
    fits = isinstance(values, bool) if kind == "b" else isinstance(values, int | float) and not isinstance(values, bool)
    return None if fits else ("null" if values is None else values)


def _texts(values: object) -> np.ndarray:
    shape: list[int] = []
    level = values
    while isinstance(level, list) and len(shape) < _DEEPEST:
        shape.append(len(level))
        level = level[0] if level else None
    flat: np.ndarray = np.empty(int(np.prod(shape)), dtype=object)
    position = _fill(flat, 0, values, shape)
    if position != flat.size:
        raise _Misfit("expected lists of the same lengths, received different ones")
    return flat.reshape(shape)


def _fill(flat: np.ndarray, position: int, values: object, shape: Sequence[int]) -> int:
    """Writes texts into a flat array from a position on; returns the position after them."""
    if not shape:
        if type(values) is str:
            flat[position] = values.encode()
        elif isinstance(values, dict) and [*values] == [B64]:
            try:
                flat[position] = decode_b64(values[B64])
            except ValueError as error:
                raise _Misfit(str(error)) from None
        else:
            raise _Misfit(f'expected a text, or {{"b64": …}}, received {printable.value(values)}')
        return position + 1
    if not isinstance(values, list) or len(values) != shape[0]:
        raise _Misfit("expected lists of the same lengths, received different ones")
    for value in values:
        position = _fill(flat, position, value, shape[1:])
    return position

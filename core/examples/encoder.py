"""Encodes record batches of list columns as canonical serialized tf.Examples, column by column.

tfx_bsl's C++ encoder writes the features of an Example in the order of a randomly seeded hash map, so the bytes of a
row differ each time. Here the order is that of `SerializeToString(deterministic=True)` in protobuf's Python runtime
(upb). These are the bytes that TFX hashes to choose a split.

The wire format: an Example is `0A <length>` and an entry per feature, `0A <length> 0A <length> name 12 <length>
feature`. A feature is its kind's tag, a length and the list; a list of numbers is packed. The bytes before a row's
values in one feature depend only on the values' length. So a small table has them for each length, and Arrow joins
table cells and values to rows, without Python code per row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.errors import DataError

_FEATURES = _ENTRY = _NAME = _ELEMENT = _PACKED = 0x0A
_FEATURE = 0x12
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 0x0A, 0x12, 0x1A
_UNSET = -1  # the length of a feature without a kind
_ABSENT = -2  # the length of a feature that the row does not have
_DIRECT_LOOKUP = 1 << 12


def encode(batch: pa.RecordBatch, skip_nulls: bool = False) -> pa.LargeBinaryArray:
    """Returns each row as a serialized tf.Example.

    The columns are lists of integers or booleans, floats (written as 32-bit), strings or binary, or of Arrow's null
    type. An empty list becomes a feature whose list is empty. A null becomes a feature without a kind, as in tfx_bsl;
    with `skip_nulls` the row lacks the feature instead, except for columns of null type. Raises a DataError for other
    types.
    """
    columns = sorted(zip(batch.schema.names, batch.columns, strict=True), key=lambda column: _order(column[0]))
    parts: list[pa.LargeBinaryArray] = []
    for name, column in columns:
        feature = _feature(column, name)
        lengths = feature.lengths
        if skip_nulls and not pa.types.is_null(column.type):
            lengths = np.where(lengths == _UNSET, _ABSENT, lengths)
        parts += [_table(lengths, partial(_entry, name.encode(), feature.kind)), feature.values]
    total = sum((_lengths(part) for part in parts), np.zeros(batch.num_rows, np.int64))
    return _join(_table(total, lambda length: bytes([_FEATURES]) + varint(length)), *parts)


def encode_feature(column: pa.Array) -> pa.LargeBinaryArray:
    """Returns each row of a list column as a serialized tf.train.Feature; a null is one without a kind."""
    feature = _feature(column, "")
    return _join(_table(feature.lengths, partial(_feature_head, feature.kind)), feature.values)


def _order(name: str) -> list[int]:
    """Returns upb's sort key of a name: its bytes, but a name comes before its own prefixes."""
    return [*name.encode(), 256]


@dataclass(frozen=True)
class _Feature:
    """A column in wire format: an element of `values` for each row, and its length in bytes, or _UNSET."""

    kind: int
    lengths: np.ndarray
    values: pa.LargeBinaryArray


def _feature(column: pa.Array, name: str) -> _Feature:
    if pa.types.is_null(column.type):
        nothing = _binary(np.empty(0, np.uint8), np.zeros(len(column) + 1, np.int64))
        return _Feature(_BYTES_LIST, np.full(len(column), _UNSET, np.int64), nothing)
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise DataError(f"feature {name!r}: expected a column of lists, received {column.type}")
    counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    elements, kind = column.flatten(), column.type.value_type
    if pa.types.is_null(kind):
        elements, kind = elements.cast(pa.large_binary()), pa.large_binary()
    if pa.types.is_boolean(kind):
        elements, kind = elements.cast(pa.int64()), pa.int64()
    if pa.types.is_integer(kind):
        tag, (data, sizes) = _INT64_LIST, _varints(_numpy(elements.cast(pa.int64()), np.int64))
    elif pa.types.is_floating(kind):
        tag, data = _FLOAT_LIST, _numpy(elements, np.float32).astype("<f4", copy=False).view(np.uint8)
        sizes = np.full(len(elements), 4, np.int64)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_unicode(kind):
        tag, (data, sizes) = _BYTES_LIST, _strings(elements)
    else:
        raise DataError(f"feature {name!r}: expected integers, floats or bytes, received {column.type}")
    offsets = _offsets(sizes)[_offsets(counts)]
    lengths = np.diff(offsets)
    if column.null_count:
        lengths = np.where(pc.is_null(column).to_numpy(zero_copy_only=False), _UNSET, lengths)
    return _Feature(tag, lengths, _binary(data, offsets))


def _entry(name: bytes, kind: int, length: int) -> bytes:
    """Returns the bytes before `length` bytes of values in a row's entry for a feature."""
    if length == _ABSENT:
        return b""
    head = _feature_head(kind, length)
    key = bytes([_NAME]) + varint(len(name)) + name + bytes([_FEATURE]) + varint(len(head) + max(length, 0))
    return bytes([_ENTRY]) + varint(len(key) + len(head) + max(length, 0)) + key + head


def _feature_head(kind: int, length: int) -> bytes:
    if length < 0:
        return b""
    packed = b"" if kind == _BYTES_LIST or length == 0 else bytes([_PACKED]) + varint(length)
    return bytes([kind]) + varint(len(packed) + length) + packed


def varint(number: int) -> bytes:
    """Returns a non-negative number in protobuf's base-128 form."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _varints(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers in base-128 form, joined, and the size of each in bytes (ten if it is negative)."""
    rest: np.ndarray = numbers.view(np.uint64)
    widest = (int(rest.max(initial=0)).bit_length() + 6) // 7 or 1
    sizes: np.ndarray = np.ones(len(rest), np.int64)
    for width in range(1, widest):
        sizes += rest >= np.uint64(1 << (7 * width))
    if widest == 1:
        return rest.astype(np.uint8), sizes
    digits: np.ndarray = np.empty((len(rest), widest), np.uint8)
    for place in range(widest):
        digits[:, place] = (rest >> np.uint64(7 * place)) & np.uint64(0x7F)
        digits[:, place] |= (sizes > place + 1).astype(np.uint8) << 7
    return digits[np.arange(widest) < sizes[:, None]], sizes


def _strings(elements: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the elements, joined, each after its tag and length, and the size of each in bytes."""
    elements = elements.cast(pa.large_binary())
    joined = _join(_table(_lengths(elements), lambda length: bytes([_ELEMENT]) + varint(length)), elements)
    data = joined.buffers()[2]
    ends = _ends(joined)
    content = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return content[ends[0] : ends[-1]], np.diff(ends)


def _table(lengths: np.ndarray, head: Callable[[int], bytes]) -> pa.LargeBinaryArray:
    """Returns `head(length)` for each of `lengths`; `head` is called once per distinct length."""
    if len(lengths) == 0:
        return pa.array([], pa.large_binary())
    lowest = int(lengths.min())
    if int(lengths.max()) - lowest < max(_DIRECT_LOOKUP, len(lengths)):
        places: np.ndarray = lengths - lowest
        distinct = np.flatnonzero(np.bincount(places))
        lookup = np.empty(distinct[-1] + 1, np.int64)
        lookup[distinct] = np.arange(len(distinct))
        indices = lookup[places]
        distinct = distinct + lowest
    else:
        distinct, indices = np.unique(lengths, return_inverse=True)
    return pa.array([head(int(length)) for length in distinct], pa.large_binary()).take(pa.array(indices))


def _join(*parts: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    return pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.large_binary()))


def _binary(data: np.ndarray, offsets: np.ndarray) -> pa.LargeBinaryArray:
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    )


def _ends(array: pa.LargeBinaryArray) -> np.ndarray:
    ends: np.ndarray = np.frombuffer(array.buffers()[1], np.int64)
    return ends[array.offset : array.offset + len(array) + 1]


def _lengths(array: pa.LargeBinaryArray) -> np.ndarray:
    lengths: np.ndarray = np.diff(_ends(array))
    return lengths


def _offsets(sizes: np.ndarray) -> np.ndarray:
    offsets: np.ndarray = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def _numpy(elements: pa.Array, kind: type[np.generic]) -> np.ndarray:
    numbers: np.ndarray = elements.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):  # a number beyond 32-bit floats becomes infinity, as in protobuf
        return numbers.astype(kind, copy=False)

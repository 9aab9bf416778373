"""Record batches of list columns to serialized tf.Examples, column by column.

tfx_bsl's C++ encoder writes the features of an Example in the order of a randomly seeded hash map, so the same row is
other bytes each time. Here every column becomes one binary array with the bytes of its map entry in each row (arrays
of varints by numpy, concatenation by Arrow), and the rows are the columns' entries joined in the order of the
features' names, with no Python code per row.

The wire format: protobuf's encoding of tensorflow/core/example/{example,feature}.proto, with every value packed.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.errors import DataError

# The tags of Features.feature, of a map entry's key and value, and of the field of each list in Feature.
_ENTRY, _KEY, _VALUE = b"\x0a", b"\x0a", b"\x12"
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = b"\x0a", b"\x12", b"\x1a"
_LIST_VALUE = b"\x0a"


def encode(batch: pa.RecordBatch) -> pa.LargeBinaryArray:
    """Returns a serialized tf.Example for each row, in order.

    Columns are lists (or large lists) of int64, float32 or binary, or anything that casts to one of them without
    loss; a null row is a feature without values, an empty list one whose list is empty.
    """
    if batch.num_rows == 0:
        return pa.array([], pa.large_binary())
    columns = sorted(zip(batch.schema.names, batch.columns, strict=True), key=lambda item: item[0].encode())
    entries = [_entries(name.encode(), column) for name, column in columns]
    features = _join(*entries) if entries else pa.array([b""] * batch.num_rows, pa.large_binary())
    return _prefixed(_ENTRY, features)


def _entries(name: bytes, column: pa.Array) -> pa.LargeBinaryArray:
    """The map entry of one feature in each row: its name and its Feature message."""
    feature = _features(name, column)
    key = _KEY + _varint(len(name)) + name
    entry = _join(pa.scalar(key, pa.large_binary()), _prefixed(_VALUE, feature))
    return _prefixed(_ENTRY, entry)


def _features(name: bytes, column: pa.Array) -> pa.LargeBinaryArray:
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise DataError(f"feature {name.decode()!r}: expected a column of lists, received {column.type}")
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0), np.int64)
    rows = np.concatenate([[0], np.cumsum(lengths)])  # where each row's values begin and end
    values, value_type = column.flatten(), column.type.value_type
    if pa.types.is_null(value_type):
        return pa.array([b""] * len(column), pa.large_binary())
    if pa.types.is_integer(value_type) or pa.types.is_boolean(value_type):
        kind, payload, starts = _INT64_LIST, *_varints(np.asarray(values.cast(pa.int64())).view(np.uint64))
        packed = _slices(payload, starts[rows])
    elif pa.types.is_floating(value_type):
        kind, payload = _FLOAT_LIST, np.asarray(values.cast(pa.float32(), safe=False)).astype("<f4").view(np.uint8)
        packed = _slices(payload, rows * 4)
    else:
        kind, elements = _BYTES_LIST, _prefixed(_LIST_VALUE, values.cast(pa.large_binary()))
        payload, starts = _payload(elements)
        packed = _slices(payload, starts[rows])
    if kind != _BYTES_LIST:  # numbers share one field; a list of bytes has one field for each element
        packed = pc.if_else(pa.array(lengths > 0), _prefixed(_LIST_VALUE, packed), pa.scalar(b"", pa.large_binary()))
    feature = _prefixed(kind, packed)
    return pc.if_else(column.is_valid(), feature, pa.scalar(b"", pa.large_binary())) if column.null_count else feature


def _prefixed(tag: bytes, content: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """Tag, length and content: a length-delimited field in each row."""
    lengths = pc.binary_length(content)
    bounds = pc.min_max(lengths)
    shortest, longest = bounds["min"].as_py(), bounds["max"].as_py()
    if shortest is None or shortest == longest:
        return _join(pa.scalar(tag + _varint(longest or 0), pa.large_binary()), content)
    if longest - shortest < len(content):
        distinct, where = range(shortest, longest + 1), pc.subtract(lengths, shortest)
    else:
        distinct = pc.unique(lengths).to_pylist()
        where = pc.index_in(lengths, pa.array(distinct, lengths.type))
    prefixes = pa.array([tag + _varint(length) for length in distinct], pa.large_binary())
    return _join(prefixes.take(where), content)


def _join(*parts: pa.Array | pa.Scalar) -> pa.LargeBinaryArray:
    return pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.large_binary()))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def _varints(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the varints of unsigned 64-bit numbers, one after the other, and where each begins (and the end)."""
    width = max(1, -(-int(numbers.max(initial=0)).bit_length() // 7))
    groups: np.ndarray = np.empty((len(numbers), width), np.uint8)
    used: np.ndarray = np.ones((len(numbers), width), bool)  # of the groups of seven bits, the lowest first
    for index in range(width):
        rest = numbers >> np.uint64(7 * index)
        groups[:, index] = rest
        if index:
            used[:, index] = rest != 0
    groups[:, :-1] = np.where(used[:, 1:], groups[:, :-1] | 128, groups[:, :-1] & 127)
    groups[:, -1] &= 127
    return groups[used], np.concatenate([[0], np.cumsum(used.sum(axis=1))])


def _payload(array: pa.LargeBinaryArray) -> tuple[np.ndarray, np.ndarray]:
    _, offsets, data = array.buffers()
    starts = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8), starts


def _slices(payload: np.ndarray, offsets: np.ndarray) -> pa.LargeBinaryArray:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets, np.int64)), pa.py_buffer(np.ascontiguousarray(payload))]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)

"""tf.Examples in protobuf's wire format, written by functions that are made once for each feature.

An Example is a map from names to lists of bytes, floats or integers. Of an entry with one value nearly all bytes are
known before: the tags, the name, and of a float also every length.
"""

import struct
from collections.abc import Callable, Sequence

# Tags: a field's number and its wire type (2: what follows has a length).
_FEATURES = b"\x0a"  # Example.features; Features.feature, a map's entry
_KEY, _VALUE = b"\x0a", b"\x12"
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = b"\x0a", b"\x12", b"\x1a"
_VALUES = b"\x0a"  # of a list: each of bytes; packed of numbers

_FLOAT = struct.Struct("<f")
_SMALL = 1 << 14


def varint(number: int) -> bytes:
    """Returns an integer below 2**64 as protobuf writes it, seven bits a byte."""
    digits = bytearray()
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    digits.append(number)
    return bytes(digits)


_VARINTS = [varint(number) for number in range(_SMALL)]


def _sized(content: bytes) -> bytes:
    size = len(content)
    return (_VARINTS[size] if size < _SMALL else varint(size)) + content


def example(entries: Sequence[bytes]) -> bytes:
    """Returns an Example of entries, each of which a function below has made."""
    return _FEATURES + _sized(b"".join(entries))


def bytes_entry(name: str) -> Callable[[Sequence[bytes]], bytes]:
    """Returns the function from a feature's values to its entry."""
    key = _KEY + _sized(name.encode())

    def entry(values: Sequence[bytes]) -> bytes:
        content = b"".join([_VALUES + _sized(value) for value in values])
        return _FEATURES + _sized(key + _VALUE + _sized(_BYTES_LIST + _sized(content)))

    return entry


def float_entry(name: str) -> Callable[[Sequence[float]], bytes]:
    """Returns the function from a feature's values to its entry; it raises an OverflowError for one too large."""
    key = _KEY + _sized(name.encode())
    one = _FEATURES + varint(len(key) + 10) + key + _VALUE + b"\x08" + _FLOAT_LIST + b"\x06" + _VALUES + b"\x04"
    pack = _FLOAT.pack

    def entry(values: Sequence[float]) -> bytes:
        if len(values) == 1:
            return one + pack(values[0])
        content = _VALUES + _sized(struct.pack(f"<{len(values)}f", *values)) if values else b""
        return _FEATURES + _sized(key + _VALUE + _sized(_FLOAT_LIST + _sized(content)))

    return entry


def int64_entry(name: str) -> Callable[[Sequence[int]], bytes]:
    """Returns the function from a feature's values, of 64 bits, to its entry."""
    key = _KEY + _sized(name.encode())
    prefixes = [
        _FEATURES
        + varint(len(key) + size + 6)
        + key
        + _VALUE
        + bytes([size + 4])
        + _INT64_LIST
        + bytes([size + 2])
        + _VALUES
        + bytes([size])
        for size in range(11)
    ]

    def entry(values: Sequence[int]) -> bytes:
        if len(values) == 1:
            value = values[0]
            digits = _VARINTS[value] if 0 <= value < _SMALL else varint(value & 0xFFFF_FFFF_FFFF_FFFF)
            return prefixes[len(digits)] + digits
        digits = b"".join([varint(value & 0xFFFF_FFFF_FFFF_FFFF) for value in values])
        content = _VALUES + _sized(digits) if values else b""
        return _FEATURES + _sized(key + _VALUE + _sized(_INT64_LIST + _sized(content)))

    return entry

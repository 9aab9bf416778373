"""Rows of plain JSON values as serialized tf.Examples, by a plan that is made once for each signature."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import tensorflow as tf

from penstock.components.model_server.encoding import wire
from penstock.components.model_server.inference import Kind, RequestError, ServedFeature
from penstock.core.suggestions import did_you_mean, listed
from penstock.core.text import printable

B64 = "b64"
_INT64 = range(-(1 << 63), 1 << 63)
_EXPECTED = {tf.float32: "a number", tf.int64: "a whole number of 64 bits", tf.string: 'a text, or {"b64": …}'}
type Entry = Callable[[object], bytes]


class RowEncoder:
    """Encodes rows by the features of a signature; what only `known` names, such as the label, is left out."""

    def __init__(self, features: Mapping[str, ServedFeature], known: Iterable[str] = ()):
        self._entries = [(feature, _entry(feature)) for feature in features.values()]
        self._left_out = frozenset(known) - features.keys()
        self._names = [*features]

    def encode(self, row: Mapping[str, object]) -> bytes:
        """Returns a row as a tf.Example.

        Raises a RequestError that names the feature which is unknown, missing or of another type.
        """
        entries = []
        missing = 0
        for feature, entry in self._entries:
            value = row.get(feature.name)
            if value is None or value == []:
                if feature.required:
                    self._require_known(row)  # a name that is misspelt is the reason why one is missing
                    raise self._missing(row)
                missing += feature.name not in row
                continue
            entries.append(entry(value))
        if len(row) != len(self._names) - missing:
            self._require_known(row)
        return wire.example(entries)

    def _missing(self, row: Mapping[str, object]) -> RequestError:
        """Returns the error that names every feature which is required and has no value."""
        required = (feature.name for feature, _ in self._entries if feature.required)
        names = [repr(name) for name in required if row.get(name) in (None, [])]
        are = f"features {listed(names)} are missing" if len(names) > 1 else f"feature {names[0]} is missing"
        return RequestError(Kind.INVALID, are)

    def _require_known(self, row: Mapping[str, object]) -> None:
        for name in row.keys() - self._names - self._left_out:
            raise RequestError(Kind.INVALID, f"unknown feature {name!r}; {did_you_mean(name, self._names)}")


def decode_b64(text: object) -> bytes:
    """Returns the bytes of the value of "b64"; a ValueError if it is not base64."""
    if not isinstance(text, str):
        raise ValueError(f"expected base64, received {printable.value(text)}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"expected base64, received {printable.value(text)}") from None


def _entry(feature: ServedFeature) -> Entry:
    if feature.also_text:
        of_text, of_number = (
            _entry(replace(feature, dtype=dtype, also_text=False)) for dtype in (tf.string, feature.dtype)
        )
        return lambda value: of_text(value) if isinstance(value, str) else of_number(value)
    if feature.dtype == tf.float32:
        return _checked(feature, wire.float_entry(feature.name), _numbers)
    if feature.dtype == tf.int64:
        return _checked(feature, wire.int64_entry(feature.name), _whole_numbers)
    return _checked(feature, wire.bytes_entry(feature.name), _texts)


def _checked[T](
    feature: ServedFeature, entry: Callable[[Sequence[T]], bytes], convert: Callable[[list[object]], list[T]]
) -> Entry:
    """Returns the function from a value in JSON to the feature's entry: it has the types and counts looked at."""
    count: int | None = None
    if feature.shape is not None:
        count = 1
        for size in feature.shape:
            count *= size

    def encode(value: object) -> bytes:
        values = _flat(value) if type(value) is list else [value]
        try:
            if count is not None and len(values) != count:
                raise _Misfit(f"{count} value{'s' if count != 1 else ''}", f"{len(values)}")
            return entry(convert(values))
        except _Misfit as misfit:
            expected, received = misfit.args
        except OverflowError:  # of a float in 32 bits
            expected, received = "a number of 32 bits", printable.value(value)
        raise RequestError(Kind.INVALID, f"feature {feature.name!r}: expected {expected}, received {received}")

    return encode


class _Misfit(Exception):
    """What was expected, and what was received."""


def _misfit(dtype: tf.DType, value: object) -> _Misfit:
    return _Misfit(_EXPECTED[dtype], printable.value(value))


def _flat(values: list[object]) -> list[object]:
    """Returns the values of lists within lists, as tf.Examples hold them."""
    while any(type(value) is list for value in values):
        values = list(chain.from_iterable(value if type(value) is list else [value] for value in values))
    return values


def _numbers(values: list[object]) -> list[float]:
    for value in values:
        if type(value) is not float and type(value) is not int:
            raise _misfit(tf.float32, value)
    return values  # type: ignore[return-value]


def _whole_numbers(values: list[object]) -> list[int]:
    return [value if type(value) is int and value in _INT64 else _whole(value) for value in values]


def _whole(value: object) -> int:
    """A boolean is a whole number, and so is 3.0: pandas writes it where another row has no value."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer() and int(value) in _INT64):
        return int(value)
    raise _misfit(tf.int64, value)


def _texts(values: list[object]) -> list[bytes]:
    return [value.encode() if type(value) is str else _bytes(value) for value in values]


def _bytes(value: object) -> bytes:
    if isinstance(value, dict) and [*value] == [B64]:
        try:
            return decode_b64(value[B64])
        except ValueError as error:
            expected, _, received = str(error).removeprefix("expected ").partition(", received ")
            raise _Misfit(expected, received) from None
    raise _misfit(tf.string, value)

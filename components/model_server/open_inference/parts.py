"""The parts of a body over REST: JSON, and the tensors in it or in the bytes after it. It needs no TensorFlow.

Whatever does not fit raises a RequestError (INVALID) that names the place.
"""

from collections.abc import Sequence

from penstock.components.model_server.failures import Kind, RequestError
from penstock.components.model_server.open_inference import datatypes, tensors
from penstock.components.model_server.open_inference.tensors import InferTensor
from penstock.core.text import printable

JSON_LENGTH = "Inference-Header-Content-Length"
SIZE = "binary_data_size"  # the parameter of a tensor whose data are bytes after the JSON


def split(body: bytes, json_length: str | None) -> tuple[bytes, bytes]:
    """Returns the JSON and the bytes after it; `json_length` is the value of the header JSON_LENGTH."""
    if json_length is None:
        return body, b""
    is_number = json_length.isascii() and json_length.isdecimal() and len(json_length) < 19
    if not is_number or int(json_length) > len(body):
        received = printable.value(json_length)
        raise invalid(f"{JSON_LENGTH}: expected at most the {len(body)} bytes of the body, received {received}")
    return body[: int(json_length)], body[int(json_length) :]


def read_tensors(key: str, sent: Sequence[object], raw: bytes) -> list[InferTensor]:
    """Returns the tensors of a body's "inputs" or "outputs", which is `key`.

    Those without data take theirs from the bytes after the JSON, in turn.
    """
    return _Tensors(raw).read(key, sent)


def as_object(where: str, value: object) -> dict[str, object]:
    """Returns a value as an object; an empty one for null."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{where}: expected an object, received {printable.value(value)}")
    return value


def as_list(where: str, value: object) -> list[object]:
    """Returns a value as a list; an empty one for null."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid(f"{where}: expected a list, received {printable.value(value)}")
    return value


def as_text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise invalid(f"{where}: expected a text, received {printable.value(value)}")
    return value


def invalid(sentence: str) -> RequestError:
    return RequestError(Kind.INVALID, sentence)


class _Tensors:
    def __init__(self, raw: bytes):
        self._raw = raw
        self._start = 0

    def read(self, key: str, sent: Sequence[object]) -> list[InferTensor]:
        read = [self._tensor(f"{key}[{index}]", one) for index, one in enumerate(sent)]
        if self._start != len(self._raw):
            raise invalid(f"the body: expected {self._start} bytes after the JSON, received {len(self._raw)} bytes")
        return read

    def _tensor(self, where: str, sent: object) -> InferTensor:
        fields = as_object(where, sent)
        name = as_text(f"{where}.name", fields.get("name"))
        datatype = as_text(f"{where}.datatype", fields.get("datatype"))
        if "shape" not in fields:
            raise invalid(f"{where}.shape is missing: expected a list of sizes")
        shape = as_list(f"{where}.shape", fields["shape"])
        parameters = as_object(f"{where}.parameters", fields.get("parameters"))
        if "data" in fields:
            tensor = tensors.from_values(name, datatype, shape, as_list(f"{where}.data", fields["data"]))
        else:
            tensor = tensors.from_raw(name, datatype, shape, self._bytes(where, parameters.get(SIZE)))
        is_base64 = datatype == datatypes.BYTES and parameters.get("content_type") == "base64"
        return tensors.from_base64(tensor) if is_base64 else tensor

    def _bytes(self, where: str, size: object) -> bytes:
        if type(size) is not int or size < 0:
            raise invalid(f"{where}: expected data, or parameters.{SIZE} and the bytes after the JSON")
        end = self._start + size
        if end > len(self._raw):
            there = len(self._raw) - self._start
            raise invalid(f"{where}.parameters.{SIZE}: expected at most the {there} bytes there are, received {size}")
        taken = self._raw[self._start : end]
        self._start = end
        return taken

"""The protocol's requests and answers over REST: JSON, and after it tensors as bytes if the request wants that.

The extension "binary_tensor_data" is Triton's: a header says how long the JSON is, and the JSON how long each tensor.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penstock.components.model_server.encoding import json_text
from penstock.components.model_server.inference import Kind, RequestError, Servable, ServedSignature
from penstock.components.model_server.open_inference import datatypes, requests, tensors
from penstock.components.model_server.open_inference.tensors import InferTensor
from penstock.core.text import printable

JSON_LENGTH = "Inference-Header-Content-Length"
_SIZE = "binary_data_size"


@dataclass(frozen=True)
class InferRequest:
    """A request as far as it does not depend on the model. `binary` are the outputs that are wanted as bytes."""

    id: str
    signature: str
    tensors: list[InferTensor]
    outputs: list[str]
    binary: frozenset[str]
    all_binary: bool


def parse(body: bytes, json_length: str | None) -> InferRequest:
    """Reads the body of a request; `json_length` is the value of the header. Raises a RequestError (INVALID)."""
    text, raw = _parts(body, json_length)
    content = _object("the body", json_text.loads(text))
    parameters = _object("parameters", content.get("parameters"))
    outputs = [_object(f"outputs[{index}]", one) for index, one in enumerate(_list("outputs", content.get("outputs")))]
    sent = _list("inputs", content.get("inputs"))
    if not sent:
        raise _invalid(
            'inputs: expected a list of tensors, such as [{"name": …, "shape": …, "datatype": …, "data": …}]'
        )
    binary = {_text("outputs.name", one.get("name")): _object("parameters", one.get("parameters")) for one in outputs}
    return InferRequest(
        _text("id", content.get("id", "")),
        _text(f"parameters.{requests.SIGNATURE}", parameters.get(requests.SIGNATURE, "")),
        _Tensors(raw).parse(sent),
        list(binary),
        frozenset(name for name, chosen in binary.items() if chosen.get("binary_data") is True),
        parameters.get("binary_data_output") is True,
    )


@dataclass(frozen=True)
class InferAnswer:
    """The body of an answer; the first `json_length` bytes are JSON, all of them if it is None."""

    body: bytes
    json_length: int | None


async def answer(servable: Servable, signature: ServedSignature, request: InferRequest) -> InferAnswer:
    """Asks the model."""
    names = requests.requested(signature, request.outputs)
    prediction = await servable.predict(signature, requests.inputs(signature, request.tensors))
    raw: list[bytes] = []
    outputs = []
    for name in names:
        is_binary = name in request.binary or request.all_binary
        outputs.append(_output(name, prediction.outputs[name], raw if is_binary else None))
    content = {"model_name": servable.model, "model_version": str(servable.version), "outputs": outputs}
    text = json_text.dumps({**content, "id": request.id} if request.id else content)
    return InferAnswer(b"".join([text, *raw]), len(text) if raw else None)


def metadata(name: str, versions: Sequence[str], signature: ServedSignature) -> dict[str, object]:
    """Returns what the protocol tells of a model."""
    return {
        "name": name,
        "versions": list(versions),
        "platform": requests.PLATFORM,
        "inputs": [_tensor_metadata(one) for one in requests.inputs_metadata(signature)],
        "outputs": [_tensor_metadata(one) for one in requests.outputs_metadata(signature)],
    }


def server_metadata() -> dict[str, object]:
    return {"name": requests.SERVER, "version": requests.VERSION, "extensions": list(requests.EXTENSIONS)}


class _Tensors:
    """Reads the inputs of a request; those without data take theirs from the bytes after the JSON, in turn."""

    def __init__(self, raw: bytes):
        self._raw = raw
        self._start = 0

    def parse(self, sent: Sequence[object]) -> list[InferTensor]:
        parsed = [self._tensor(index, one) for index, one in enumerate(sent)]
        if self._start != len(self._raw):
            raise _invalid(f"the body: expected {self._start} bytes after the JSON, received {len(self._raw)} bytes")
        return parsed

    def _tensor(self, index: int, sent: object) -> InferTensor:
        where = f"inputs[{index}]"
        fields = _object(where, sent)
        name = _text(f"{where}.name", fields.get("name"))
        datatype = _text(f"{where}.datatype", fields.get("datatype"))
        if "shape" not in fields:
            raise _invalid(f"{where}.shape is missing: expected a list of sizes")
        shape = _list(f"{where}.shape", fields["shape"])
        parameters = _object(f"{where}.parameters", fields.get("parameters"))
        if "data" in fields:
            tensor = tensors.from_values(name, datatype, shape, _list(f"{where}.data", fields["data"]))
        else:
            tensor = tensors.from_raw(name, datatype, shape, self._bytes(where, parameters.get(_SIZE)))
        is_base64 = datatype == datatypes.BYTES and parameters.get("content_type") == "base64"
        return tensors.from_base64(tensor) if is_base64 else tensor

    def _bytes(self, where: str, size: object) -> bytes:
        if type(size) is not int or size < 0:
            raise _invalid(f"{where}: expected data, or parameters.{_SIZE} and the bytes after the JSON")
        end = self._start + size
        if end > len(self._raw):
            there = len(self._raw) - self._start
            raise _invalid(f"{where}.parameters.{_SIZE}: expected at most the {there} bytes there are, received {size}")
        taken = self._raw[self._start : end]
        self._start = end
        return taken


def _parts(body: bytes, json_length: str | None) -> tuple[bytes, bytes]:
    if json_length is None:
        return body, b""
    is_number = json_length.isascii() and json_length.isdecimal() and len(json_length) < 19
    if not is_number or int(json_length) > len(body):
        received = printable.value(json_length)
        raise _invalid(f"{JSON_LENGTH}: expected at most the {len(body)} bytes of the body, received {received}")
    return body[: int(json_length)], body[int(json_length) :]


def _output(name: str, array: np.ndarray, raw: list[bytes] | None) -> dict[str, object]:
    described = {"name": name, "datatype": requests.datatype(name, array), "shape": list(array.shape)}
    if raw is not None:
        raw.append(tensors.to_raw(array))
        return {**described, "parameters": {_SIZE: len(raw[-1])}}
    if array.dtype != object:
        is_plain = array.dtype.kind in "biuf"
        return {**described, "data": np.ascontiguousarray(array if is_plain else array.astype(np.float32)).reshape(-1)}
    values = array.reshape(-1).tolist()
    try:
        return {**described, "data": [value.decode() for value in values]}
    except UnicodeDecodeError:
        encoded = [base64.b64encode(value).decode() for value in values]
        return {**described, "parameters": {"content_type": "base64"}, "data": encoded}


def _tensor_metadata(tensor: requests.TensorMetadata) -> dict[str, object]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _object(where: str, value: object) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _invalid(f"{where}: expected an object, received {printable.value(value)}")
    return value


def _list(where: str, value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _invalid(f"{where}: expected a list, received {printable.value(value)}")
    return value


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise _invalid(f"{where}: expected a text, received {printable.value(value)}")
    return value


def _invalid(sentence: str) -> RequestError:
    return RequestError(Kind.INVALID, sentence)

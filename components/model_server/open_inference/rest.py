"""The protocol's requests and answers over REST: JSON, and after it tensors as bytes if the request wants that.

The extension "binary_tensor_data" is Triton's: a header says how long the JSON is, and the JSON how long each tensor.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penstock.components.model_server.encoding import json_text
from penstock.components.model_server.inference import Servable, ServedSignature
from penstock.components.model_server.open_inference import parts, requests, tensors
from penstock.components.model_server.open_inference.tensors import InferTensor


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
    text, raw = parts.split(body, json_length)
    content = parts.as_object("the body", json_text.loads(text))
    parameters = parts.as_object("parameters", content.get("parameters"))
    listed = enumerate(parts.as_list("outputs", content.get("outputs")))
    outputs = [parts.as_object(f"outputs[{index}]", one) for index, one in listed]
    sent = parts.as_list("inputs", content.get("inputs"))
    if not sent:
        raise parts.invalid(
            'inputs: expected a list of tensors, such as [{"name": …, "shape": …, "datatype": …, "data": …}]'
        )
    wishes = {
        parts.as_text("outputs.name", one.get("name")): parts.as_object("parameters", one.get("parameters"))
        for one in outputs
    }
    return InferRequest(
        parts.as_text("id", content.get("id", "")),
        parts.as_text(f"parameters.{requests.SIGNATURE}", parameters.get(requests.SIGNATURE, "")),
        parts.read_tensors("inputs", sent, raw),
        list(wishes),
        frozenset(name for name, wish in wishes.items() if wish.get("binary_data") is True),
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


def _output(name: str, array: np.ndarray, raw: list[bytes] | None) -> dict[str, object]:
    described = {"name": name, "datatype": requests.datatype(name, array), "shape": list(array.shape)}
    if raw is not None:
        raw.append(tensors.to_raw(array))
        return {**described, "parameters": {parts.SIZE: len(raw[-1])}}
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

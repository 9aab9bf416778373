"""Asks a model server by HTTP, over one connection: TensorFlow Serving's REST, KServe V1, Open Inference V2."""

import base64
import contextlib
import http.client
import json
import struct
from collections.abc import Collection, Mapping
from typing import Any, Self

import numpy as np

from penstock.components.infra_validator.settings import Url
from penstock.core.models.loaded import SIGNATURE
from penstock.core.text import printable

_SECONDS = 60.0  # for an answer
_DATATYPES = {"b": "BOOL", "i": "INT", "u": "UINT", "f": "FP"}  # V2's names, by numpy's kinds
_BINARY = "Inference-Header-Content-Length"

type Answer = dict[str, Any]  # of one row: values, or nested lists of them, by output; strings are bytes


class Unanswered(Exception):
    """The server gave no answer: no connection, a broken one, or none in time."""


class RefusedByServer(Exception):
    """The server answered a request with an error."""


class Client:
    """A connection to the server of the model at a URL, which is to answer within so many `seconds`."""

    def __init__(self, url: Url, seconds: float = _SECONDS) -> None:
        kind = http.client.HTTPSConnection if url.tls else http.client.HTTPConnection
        self._url, self._seconds = url, seconds
        self._connection = kind(url.host, url.port, timeout=seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def loading(self) -> str:
        """Returns "" once the model is ready, else how it stands; RefusedByServer if it will never be."""
        if self._url.protocol == "v2":
            status, _ = self._ask("GET", f"{self._url.path}/ready")
            return "" if status == 200 else f"{self._url}/ready answers {status}"
        status, content = self._ask("GET", self._url.path)
        document = _parsed(content)
        if status != 200:
            return f"{self._url} answers {status}"
        if "ready" in document:  # KServe's
            return "" if str(document["ready"]).lower() == "true" else "the server says that the model is not ready"
        versions = document.get("model_version_status") or [{}]
        states = {str(version.get("state")) for version in versions}
        if states == {"AVAILABLE"}:
            return ""
        if "END" in states:
            failed = next(version for version in versions if version.get("state") == "END")
            raise RefusedByServer(_message(failed.get("status")) or "the model was unloaded")
        return f"the model's state is {', '.join(sorted(states))}"

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Collection[str]) -> Answer:
        """Asks about one row; returns its outputs, of which an only one is named by the caller's `outputs`.

        Raises Unanswered and RefusedByServer.
        """
        if self._url.protocol == "v2":
            body, headers = _v2_body(inputs)
            status, content = self._ask("POST", f"{self._url.path}/infer", body, headers)
            document = _succeeded(status, content)
            return {str(output.get("name")): _text(output.get("data")) for output in document.get("outputs", [])}
        instance = {name: _json(value[0]) for name, value in inputs.items()}
        request: dict[str, Any] = {"instances": [instance]}
        if signature != SIGNATURE:  # which KServe V1 does not know
            request["signature_name"] = signature
        body = json.dumps(request).encode()
        status, content = self._ask("POST", f"{self._url.path}:predict", body, {"Content-Type": "application/json"})
        predictions = _succeeded(status, content).get("predictions")
        if not isinstance(predictions, list) or len(predictions) != 1:
            raise RefusedByServer(f"expected one prediction, received {printable.value(predictions)}")
        (row,) = predictions
        if isinstance(row, dict) and row.keys() & set(outputs):
            return {name: _text(value) for name, value in row.items()}
        return {name: _text(row) for name in list(outputs)[:1]}

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, dict(headers or {}))
            response = self._connection.getresponse()
            return response.status, response.read()
        except TimeoutError:
            self._connection.close()
            raise Unanswered(f"no answer within {self._seconds:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unanswered(str(error) or type(error).__name__) from None


def _succeeded(status: int, content: bytes) -> dict[str, Any]:
    document = _parsed(content)
    if status != 200:
        raise RefusedByServer(f"{status}: {_message(document) or content[:500].decode(errors='replace')}")
    return document


def _parsed(content: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(content)
        if isinstance(document, dict):
            return document
    return {}


def _message(document: Any) -> str:
    """Returns what an answer says of an error, by the names that servers have for it."""
    fields = document if isinstance(document, dict) else {}
    return next((str(fields[key]) for key in ("error_message", "error", "detail") if fields.get(key)), "")


def _json(value: Any) -> Any:
    """Returns an input as TensorFlow Serving's JSON has it: bytes as base64."""
    if isinstance(value, np.ndarray):
        return [_json(part) for part in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return value.item() if isinstance(value, np.generic) else value


def _text(value: Any) -> Any:
    """Returns an output with bytes in place of texts, also of those in base64."""
    if isinstance(value, list):
        return [_text(part) for part in value]
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and value.keys() == {"b64"}:
        with contextlib.suppress(ValueError):
            return base64.b64decode(value["b64"], validate=True)
    return value


def _v2_body(inputs: Mapping[str, np.ndarray]) -> tuple[bytes, dict[str, str]]:
    """Returns a V2 request: numbers in its JSON, strings after it (the binary extension), since they may be no text."""
    tensors, binary = [], b""
    for name, value in inputs.items():
        tensor: dict[str, Any] = {"name": name, "shape": list(value.shape)}
        if value.dtype.kind == "O":
            encoded = b"".join(struct.pack("<I", len(item)) + item for item in value.reshape(-1))
            tensor |= {"datatype": "BYTES", "parameters": {"binary_data_size": len(encoded)}}
            binary += encoded
        else:
            kind = _DATATYPES[value.dtype.kind]
            size = "" if kind == "BOOL" else str(8 * value.dtype.itemsize)
            tensor |= {"datatype": f"{kind}{size}", "data": value.reshape(-1).tolist()}
        tensors.append(tensor)
    header = json.dumps({"inputs": tensors}).encode()
    if not binary:
        return header, {"Content-Type": "application/json"}
    return header + binary, {"Content-Type": "application/octet-stream", _BINARY: str(len(header))}

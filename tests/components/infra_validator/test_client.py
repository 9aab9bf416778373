"""Other model servers, each with the answers of its own protocol: TensorFlow Serving's REST, KServe V1, V2."""

import contextlib
import json
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from penstock.components.infra_validator.client import Client, RefusedByServer, Unanswered
from penstock.components.infra_validator.settings import Url

Answer = Callable[[str, str, bytes, Any], tuple[int, Any]]
Serve = Callable[[Answer], Url]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Returns a function that starts a server on the loopback interface; `answer` gets method, path, body, headers."""
    started = []

    def serve(answer: Answer) -> Url:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, document = answer(self.command, self.path, body, self.headers)
                content = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # whose client has not waited
                    self.wfile.write(content)

            do_GET = do_POST = _respond

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        started.append(server)
        return Url("127.0.0.1", server.server_port, "/v1/models/taxi")

    yield serve
    for server in started:
        server.shutdown()
        server.server_close()


def v2(url: Url) -> Url:
    return Url(url.host, url.port, "/v2/models/taxi", "v2")


def test_tensorflow_serving_is_asked_with_rows(serve: Serve) -> None:
    asked = []

    def answer(method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        asked.append((method, path, json.loads(body)))
        return 200, {"predictions": [{"score": [0.5, 0.25], "name_bytes": {"b64": "/wA="}}]}

    with Client(serve(answer)) as client:
        inputs = {"examples": np.array([b"\xff\x00"], object)}
        assert client.predict("tune", inputs, ["name_bytes", "score"]) == {
            "score": [0.5, 0.25],
            "name_bytes": b"\xff\x00",
        }
        instances = [{"examples": {"b64": "/wA="}}]
        assert asked == [("POST", "/v1/models/taxi:predict", {"instances": instances, "signature_name": "tune"})]


def test_an_only_output_has_no_name(serve: Serve) -> None:
    with Client(serve(lambda *_: (200, {"predictions": ["cat"]}))) as client:
        assert client.predict("serving_default", {"x": np.zeros([1, 2])}, ["kind"]) == {"kind": b"cat"}
    with Client(serve(lambda *_: (200, {"predictions": [{"b64": "Y2F0"}]}))) as client:
        assert client.predict("serving_default", {"x": np.zeros([1, 2])}, ["kind"]) == {"kind": b"cat"}


def test_v2_takes_strings_that_are_no_text_beside_its_json(serve: Serve) -> None:
    def answer(method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        assert path == "/v2/models/taxi/infer"
        length = int(headers["Inference-Header-Content-Length"])
        tensors = {tensor["name"]: tensor for tensor in json.loads(body[:length])["inputs"]}
        assert tensors["n"] == {"name": "n", "shape": [1, 2], "datatype": "INT64", "data": [7, 8]}
        assert tensors["raw"]["datatype"] == "BYTES"
        assert tensors["raw"]["parameters"] == {"binary_data_size": len(body) - length}
        assert body[length:] == struct.pack("<I", 2) + b"\xff\x00"
        return 200, {"outputs": [{"name": "y", "datatype": "FP32", "shape": [1], "data": [0.5]}]}

    with Client(v2(serve(answer))) as client:
        inputs = {"raw": np.array([b"\xff\x00"], object), "n": np.array([[7, 8]], np.int64)}
        assert client.predict("serving_default", inputs, ["y"]) == {"y": [0.5]}


@pytest.mark.parametrize(
    ("document", "state"),
    [
        ({"model_version_status": [{"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK"}}]}, ""),
        ({"model_version_status": [{"version": "3", "state": "LOADING"}]}, "the model's state is LOADING"),
        ({"name": "taxi", "ready": "True"}, ""),
        ({"name": "taxi", "ready": True}, ""),
        ({"name": "taxi", "ready": False}, "the server says that the model is not ready"),
    ],
)
def test_readiness_of_v1(serve: Serve, document: Any, state: str) -> None:
    with Client(serve(lambda *_: (200, document))) as client:
        assert client.loading() == state


def test_readiness_of_v2_and_of_what_is_not_there(serve: Serve) -> None:
    with Client(v2(serve(lambda method, path, *_: (200 if path.endswith("/ready") else 404, {})))) as client:
        assert client.loading() == ""
    url = serve(lambda *_: (404, {}))
    for each in (url, v2(url)):
        with Client(each) as client:
            assert client.loading().endswith("answers 404")


def test_a_model_that_the_server_could_not_load(serve: Serve) -> None:
    status = {"state": "END", "status": {"error_code": "INTERNAL", "error_message": "no variables"}}
    with (
        Client(serve(lambda *_: (200, {"model_version_status": [status]}))) as client,
        pytest.raises(RefusedByServer, match="no variables"),
    ):
        client.loading()


@pytest.mark.parametrize(
    ("status", "document", "message"),
    [
        (400, {"error": "x: expected a number"}, "400: x: expected a number"),
        (500, b"<html>Internal", "500: <html>Internal"),
        (200, {"predictions": []}, "expected one prediction, received"),
        (200, b"[]", "expected one prediction, received None"),
    ],
)
def test_what_a_server_refuses(serve: Serve, status: int, document: Any, message: str) -> None:
    with Client(serve(lambda *_: (status, document))) as client, pytest.raises(RefusedByServer, match=message):
        client.predict("serving_default", {"x": np.zeros([1])}, ["y"])


def test_a_server_that_does_not_answer(serve: Serve) -> None:
    hang = threading.Event()

    def answer(*_: Any) -> tuple[int, Any]:
        hang.wait(10)
        return 200, {}

    with Client(serve(answer), 0.2) as client, pytest.raises(Unanswered, match=r"no answer within 0\.2 s"):
        client.loading()
    hang.set()
    with Client(Url("127.0.0.1", 1, "/v1/models/taxi")) as client, pytest.raises(Unanswered, match="refused"):
        client.loading()

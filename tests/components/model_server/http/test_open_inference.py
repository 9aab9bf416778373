"""The Open Inference Protocol over REST, asked by kserve's own client and by hand."""

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from kserve import InferenceRESTClient, InferInput, InferRequest, InferResponse, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

from tests.servers.model_server import Client


@pytest.fixture
def ask() -> Callable[[Callable[[InferenceRESTClient], Coroutine[Any, Any, Any]]], Any]:
    """Returns a function that runs a coroutine function on a client."""

    def run(question: Callable[[InferenceRESTClient], Coroutine[Any, Any, Any]]) -> Any:
        async def asked() -> Any:
            async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=30)) as client:
                return await question(client)

        return asyncio.run(asked())

    return run


def _input(name: str, values: np.ndarray, datatype: str, binary: bool) -> InferInput:
    sent = InferInput(name, list(values.shape), datatype)
    sent.set_data_from_numpy(values, binary_data=binary)
    return sent


def _infer(ask: Any, server: Client, model: str, inputs: list[InferInput], **fields: Any) -> InferResponse:
    request = InferRequest(model, inputs, request_id="seven", **fields)
    return ask(lambda client: client.infer(server.url, request, model_name=model))


@pytest.mark.parametrize("binary_answer", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_tensors(ask: Any, server: Client, binary: bool, binary_answer: bool) -> None:
    values = np.array([1, 2.5], np.float32)
    parameters = {"binary_data_output": binary_answer}
    response = _infer(ask, server, "linear", [_input("x", values, "FP32", binary)], parameters=parameters)
    assert (response.id, response.model_name) == ("seven", "linear")
    (output,) = response.outputs
    assert (output.name, output.datatype, output.shape) == ("y", "FP32", [2])
    np.testing.assert_array_equal(output.as_numpy(), [3, 6])


@pytest.mark.parametrize("binary", [False, True])
def test_strings_and_chosen_outputs(ask: Any, server: Client, binary: bool) -> None:
    inputs = [
        _input("a", np.array([[1, 2], [3, 4]], np.int64), "INT64", binary),
        _input("b", np.array(["é", "z"], object), "BYTES", binary),
    ]
    outputs = [RequestedOutput("sum", {"binary_data": binary}), RequestedOutput("joined", {"binary_data": False})]
    parameters = {"signature_name": "several"}
    response = _infer(ask, server, "linear", inputs, parameters=parameters, request_outputs=outputs)
    assert [(one.name, one.datatype, one.data) for one in response.outputs] == [
        ("sum", "INT64", [3, 7]), ("joined", "BYTES", ["é1", "z3"]),
    ]  # fmt: skip


def test_features_by_name(ask: Any, server: Client) -> None:
    inputs = [
        _input("trip_miles", np.array([2.5, 4.0], np.float64), "FP64", False),
        _input("corner", np.array([[1, 2], [3, 4]], np.int32), "INT32", False),
        _input("payment", np.array([["Cash"], ["Credit Card"]], object), "BYTES", False),
    ]
    response = _infer(ask, server, "trips", inputs)
    outputs = {one.name: one.as_numpy().tolist() for one in response.outputs}
    assert outputs == {
        "corner": [[1, 2], [3, 4]], "miles": [2.5, 4.0], "passengers": [-1, -1], "stops": [0, 0],
        "payment": [["Cash"], ["Credit Card"]],
    }  # fmt: skip


def _trip(name: str) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": [1], "data": [1.0]}


def test_the_label_is_left_out(server: Client) -> None:
    corner = {"name": "corner", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    answer = server.post("/v2/models/trips/infer", {"inputs": [_trip("trip_miles"), corner, _trip("tips")]})
    assert answer.status == 200, answer.body


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["corner", "trip_mile"], "unknown feature 'trip_mile'; did you mean 'trip_miles'?"),
        (["trip_miles", "corner", "trip_mile"], "unknown feature 'trip_mile'; did you mean 'trip_miles'?"),
        (["trip_miles", "examples"], "input 'trip_miles' is unknown: expected one of examples"),
    ],
)
def test_features_that_do_not_fit(server: Client, names: list[str], problem: str) -> None:
    inputs = [{**_trip(name), "shape": [1, 2], "data": [1, 2]} if name == "corner" else _trip(name) for name in names]
    answer = server.post("/v2/models/trips/infer", {"inputs": inputs})
    assert answer.status == 400, answer.body
    assert problem in answer.json["error"]


def test_serialized_examples(server: Client) -> None:
    example = tf.train.Example()
    example.features.feature["trip_miles"].float_list.value.append(200.0)
    serialized = base64.b64encode(example.SerializeToString()).decode()
    tensor = {"name": "examples", "datatype": "BYTES", "shape": [1, 1]}
    marked = {**tensor, "parameters": {"content_type": "base64"}, "data": [serialized]}
    for sent in ({**tensor, "data": [{"b64": serialized}]}, marked):
        answer = server.post("/v2/models/trips/infer", {"inputs": [sent], "outputs": [{"name": "miles"}]})
        assert answer.json["outputs"] == [{"name": "miles", "datatype": "FP32", "shape": [1], "data": [200.0]}]


def test_bytes_that_are_no_text(server: Client) -> None:
    inputs = [
        {"name": "a", "datatype": "INT64", "shape": [1, 2], "data": [[1, 2]]},
        {"name": "b", "datatype": "BYTES", "shape": [1], "data": [{"b64": "/w=="}]},
    ]
    body = {"parameters": {"signature_name": "several"}, "inputs": inputs, "outputs": [{"name": "joined"}]}
    (output,) = server.post("/v2/models/linear/infer", body).json["outputs"]
    assert output["parameters"] == {"content_type": "base64"}
    assert base64.b64decode(output["data"][0]) == b"\xff1"


def test_readiness_and_metadata(ask: Any, server: Client) -> None:
    assert ask(lambda client: client.is_server_live(server.url))
    assert ask(lambda client: client.is_server_ready(server.url))
    assert ask(lambda client: client.is_model_ready(server.url, "linear"))
    assert not ask(lambda client: client.is_model_ready(server.url, "nobody"))
    assert server.get("/v2").json["extensions"] == ["binary_tensor_data"]
    assert server.get("/v2/models").json == {"models": ["linear", "trips"]}
    (version,) = server.get("/v2/models/linear").json["versions"]
    metadata = server.get(f"/v2/models/linear/versions/{version}").json
    assert metadata == {
        "name": "linear", "versions": [version], "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
    }  # fmt: skip
    features = {one["name"]: (one["datatype"], one["shape"]) for one in server.get("/v2/models/trips").json["inputs"]}
    assert features["corner"] == ("FP32", [-1, 2])
    assert features["trip_miles"] == ("FP32", [-1])
    assert features["stops"] == ("INT64", [-1, -1])
    assert "tips" not in features
    assert server.get("/v2/models/linear/versions/99").status == 404
    assert server.get("/v2/models/linear/versions/blue/ready").status == 404


GOOD = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "inputs: expected a list of tensors"),
        ({"inputs": {}}, "inputs: expected a list, received {}"),
        ({"inputs": [7]}, "inputs[0]: expected an object, received 7"),
        ({"inputs": [{**GOOD, "name": None}]}, "inputs[0].name: expected a text, received None"),
        ({"inputs": [{**GOOD, "datatype": "FLOAT"}]}, "input 'x': expected a datatype (BOOL"),
        ({"inputs": [{"name": "x", "datatype": "FP32", "data": [1]}]}, "inputs[0].shape is missing"),
        ({"inputs": [{**GOOD, "shape": [2]}]}, "input 'x': expected 2 values for the shape [2], received 1 values"),
        ({"inputs": [{**GOOD, "data": ["1"]}]}, "input 'x': expected values of FP32, received '1' at position 0"),
        ({"inputs": [{**GOOD, "data": 1}]}, "inputs[0].data: expected a list, received 1"),
        ({"inputs": [GOOD, GOOD]}, "input 'x': expected it once"),
        ({"inputs": [{**GOOD, "name": "z"}]}, "input 'z' is unknown: expected one of x"),
        ({"inputs": [{**GOOD, "shape": [1, 1]}]}, "input 'x': expected the shape [-1]"),
        ({"inputs": [GOOD], "outputs": [{"name": "z"}]}, "output 'z' is unknown"),
        ({"inputs": [GOOD], "outputs": [{}]}, "outputs.name: expected a text"),
        ({"inputs": [GOOD], "parameters": []}, "parameters: expected an object"),
        ({"inputs": [GOOD], "parameters": {"signature_name": "x"}}, "no signature 'x'"),
        ({"inputs": [GOOD], "id": 7}, "id: expected a text, received 7"),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1]}]}, "inputs[0]: expected data, or"),
    ],
)
def test_what_is_refused(server: Client, body: dict[str, Any], problem: str) -> None:
    answer = server.post("/v2/models/linear/infer", body)
    assert answer.status == 400, answer.body
    assert problem in answer.json["error"]


@pytest.mark.parametrize(
    ("length", "size", "rest", "problem"),
    [
        ("{json}", 4, b"", "inputs[0].parameters.binary_data_size: expected at most the 0 bytes there are"),
        ("{json}", 4, b"12345", "the body: expected 4 bytes after the JSON, received 5 bytes"),
        ("{json}", 3, b"123", "input 'x': expected 4 bytes"),
        ("{json}", -1, b"123", "inputs[0]: expected data, or parameters.binary_data_size"),
        ("999999", 4, b"1234", "Inference-Header-Content-Length: expected at most"),
        ("-1", 4, b"1234", "Inference-Header-Content-Length: expected at most"),
        ("0", 4, b"1234", "the body: expected JSON"),
    ],
)
def test_bytes_after_the_json_that_do_not_fit(
    server: Client, length: str, size: int, rest: bytes, problem: str
) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": size}}
    text = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": length.replace("{json}", str(len(text)))}
    answer = server.ask("POST", "/v2/models/linear/infer", text + rest, **headers)
    assert answer.status == 400
    assert problem in answer.json["error"]

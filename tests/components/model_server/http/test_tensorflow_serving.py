"""TensorFlow Serving's REST API, asked over HTTP."""

import base64
import json
from typing import Any

import pytest
import tensorflow as tf

from tests.servers.model_server import Client

TRIP = {"trip_miles": 2.5, "passengers": 3, "payment": "Cash", "stops": [1, 2], "corner": [0.5, 1]}


def serialized(miles: float) -> dict[str, str]:
    example = tf.train.Example()
    example.features.feature["trip_miles"].float_list.value.append(miles)
    return {"b64": base64.b64encode(example.SerializeToString()).decode()}


@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [
        ("linear", {"instances": [1, 2.5]}, {"predictions": [3.0, 6.0]}),
        ("linear", {"instances": [{"x": 1}, {"x": 2.5}]}, {"predictions": [3.0, 6.0]}),
        ("linear", {"inputs": [1, 2]}, {"outputs": [3.0, 5.0]}),
        ("linear", {"inputs": {"x": [1, 2]}}, {"outputs": [3.0, 5.0]}),
        ("linear", {"instances": [0.1], "signature_name": "serving_default"}, {"predictions": [1.2]}),
        (
            "linear",
            {"signature_name": "several", "instances": [{"a": [1, 2], "b": "é"}, {"a": [3, 4], "b": {"b64": "/w=="}}]},
            {
                "predictions": [
                    {"joined": "é1", "raw_bytes": {"b64": "w6kx"}, "sum": 3},
                    {"joined": {"b64": "/zM="}, "raw_bytes": {"b64": "/zM="}, "sum": 7},
                ]
            },
        ),
        (
            "linear",
            {"signature_name": "several", "inputs": {"a": [[1, 2]], "b": ["z"]}},
            {"outputs": {"joined": ["z1"], "raw_bytes": [{"b64": "ejE="}], "sum": [3]}},
        ),
        ("linear", {"signature_name": "total", "inputs": [1, 2]}, {"outputs": {"total": 3.0, "y": [2.0, 4.0]}}),
        (
            "trips",
            {"instances": [TRIP]},
            {"predictions": [{"corner": [0.5, 1.0], "miles": 2.5, "passengers": 3, "payment": ["Cash"], "stops": 3}]},
        ),
        (
            "trips",
            {"inputs": {"trip_miles": [1, 2], "payment": ["Cash", "Credit Card"]}},
            {
                "outputs": {
                    "corner": [[0.0, 0.0], [0.0, 0.0]],
                    "miles": [1.0, 2.0],
                    "passengers": [-1, -1],
                    "payment": [["Cash"], ["Credit Card"]],
                    "stops": [0, 0],
                }
            },
        ),
    ],
)
def test_predict(server: Client, model: str, body: Any, expected: Any) -> None:
    answer = server.post(f"/v1/models/{model}:predict", body)
    assert answer.json == expected
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [serialized(4.5)]},
        {"instances": [{"examples": serialized(4.5)}]},
        {"inputs": [serialized(4.5)]},
        {"inputs": {"examples": [serialized(4.5)]}},
        {"inputs": serialized(4.5)},
    ],
)
def test_serialized_examples_are_taken_as_they_are(server: Client, body: Any) -> None:
    answer = server.post("/v1/models/trips:predict", body).json
    (miles,) = answer["outputs"]["miles"] if "inputs" in body else [row["miles"] for row in answer["predictions"]]
    assert miles == 4.5


def test_nan_and_infinity_are_numbers(server: Client) -> None:
    answer = server.post("/v1/models/linear:predict", b'{"instances": [NaN, Infinity, -Infinity, 0.1]}')
    assert answer.body == b'{"predictions":[NaN,Infinity,-Infinity,1.2]}'


def test_classify_and_regress(server: Client) -> None:
    body = {"signature_name": "classify", "context": {"payment": "Cash"}, "examples": [{"trip_miles": 25}]}
    assert server.post("/v1/models/trips:classify", body).json == {"results": [[["near", 0.75], ["far", 0.25]]]}
    body = {"signature_name": "regress", "examples": [{"trip_miles": 25}, {"trip_miles": 1}]}
    assert server.post("/v1/models/trips:regress", body).json == {"results": [50.0, 2.0]}


def test_status_and_metadata(server: Client) -> None:
    assert server.get("/v1/models/linear").json == {
        "name": "linear",
        "ready": True,
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ],
    }
    assert server.get("/v1/models/linear/versions/1").json == server.get("/v1/models/linear").json
    metadata = server.get("/v1/models/linear/versions/1/metadata").json
    assert metadata["model_spec"] == {"name": "linear", "signature_name": "", "version": "1"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["several"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["a"] == {
        "dtype": "DT_INT64",
        "name": "several_a:0",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}], "unknown_rank": False},
    }


def test_health(server: Client) -> None:
    assert (server.get("/v2/health/live").status, server.get("/v2/health/ready").status) == (200, 200)


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("linear:predict", b"{", 400, "the body: expected JSON: unexpected end of data"),
        ("linear:predict", b"[" * 100_000, 400, "the body: expected JSON: "),
        ("linear:predict", b'{"instances": [NaN, ]}', 400, "the body: expected JSON: "),
        ("linear:predict", b"\xff", 400, "the body: expected JSON: "),
        ("linear:predict", [1], 400, "the body: expected a JSON object, received [1]"),
        ("linear:predict", {}, 400, 'expected "instances", a list of rows, or "inputs", an object of columns'),
        ("linear:predict", {"instances": [1], "inputs": [1]}, 400, 'expected "instances", a list of rows, or'),
        ("linear:predict", {"instances": []}, 400, "instances: expected a list with at least one row, received []"),
        ("linear:predict", {"instances": ["a"]}, 400, "input 'x': expected float32 values, received 'a'"),
        ("linear:predict", {"instances": [None]}, 400, "input 'x': expected float32 values, received 'null'"),
        ("linear:predict", {"instances": [1e39]}, 400, "input 'x': expected float32 values, received 1e+39: it is too"),
        ("linear:predict", {"instances": [[1], [2, 3]]}, 400, "input 'x': expected float32 values, received lists of"),
        ("linear:predict", {"instances": [[1, 2]]}, 400, "input 'x': expected the shape [-1] (-1: any size), received"),
        ("linear:predict", {"instances": [{"y": 1}]}, 400, "input 'x' is missing"),
        ("linear:predict", {"instances": [1], "signature_name": "posit"}, 400, "model 'linear' has no signature"),
        ("linear:predict", {"instances": [1], "signature_name": 3}, 400, "signature_name: expected a text, received 3"),
        ("linear:predict", {"instances": [-1], "signature_name": "positive"}, 400, "the model refuses the inputs: ass"),
        ("linear:predict", {"instances": [1], "signature_name": "total"}, 400, "the outputs have no common number of"),
        ("trips:predict", {"instances": [TRIP, {}]}, 400, "row 2 of 2: feature 'trip_miles' is missing"),
        ("trips:predict", {"instances": [TRIP | {"pay": 1}]}, 400, "unknown feature 'pay'; "),
        ("trips:predict", {"instances": [{"b64": "ABC"}]}, 400, "a serialized tf.Example: expected base64, received"),
        ("trips:predict", {"instances": [{"b64": "AAAA"}]}, 400, "the model refuses the inputs: Could not parse exam"),
        ("trips:predict", {"instances": ["x"]}, 400, "expected an object of features, such as 'payment'; received 'x'"),
        ("trips:predict", {"inputs": {"trip_miles": 1}}, 400, "feature 'trip_miles': expected a list with a value for"),
        ("trips:regress", {"examples": [TRIP]}, 400, "signature 'serving_default' has the outputs corner, miles,"),
        ("liner:predict", {"instances": [1]}, 404, "no model 'liner'; did you mean 'linear'?"),
        ("linear/versions/7:predict", {"instances": [1]}, 404, "model 'linear' has no version 7: loaded are 1"),
        ("linear/versions/x:predict", {"instances": [1]}, 400, "version: expected a whole number, 0 or more, received"),
        ("linear/labels/stable:predict", {"instances": [1]}, 404, "model 'linear' has no label 'stable'; there is"),
        ("linear:explain", {"instances": [1]}, 404, "there is no 'explain': expected predict, classify or regress"),
    ],
)
def test_a_mistake_is_named(server: Client, path: str, body: Any, status: int, sentence: str) -> None:
    answer = server.post(f"/v1/models/{path}", body)
    assert answer.json["error"].startswith(sentence)
    assert answer.status == status
    assert json.loads(answer.body).keys() == {"error"}
    assert server.post("/v1/models/linear:predict", {"instances": [1]}).status == 200

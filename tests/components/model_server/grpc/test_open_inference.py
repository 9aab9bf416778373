"""The Open Inference Protocol over gRPC, asked by kserve's own client."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from kserve import InferenceGRPCClient, InferInput, InferRequest, InferResponse
from kserve.protocol.grpc import grpc_predict_v2_pb2
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelMetadataRequest, ServerMetadataRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from kserve.protocol.infer_type import RequestedOutput

from penstock.components.model_server.open_inference import open_inference_pb2


@pytest.fixture
def ask(address: str) -> Callable[[Callable[[InferenceGRPCClient], Coroutine[Any, Any, Any]]], Any]:
    """Returns a function that runs a coroutine function on a client."""

    def run(question: Callable[[InferenceGRPCClient], Coroutine[Any, Any, Any]]) -> Any:
        async def asked() -> Any:
            async with InferenceGRPCClient(address, timeout=30) as client:
                return await question(client)

        return asyncio.run(asked())

    return run


def _input(name: str, values: np.ndarray, datatype: str, raw: bool) -> InferInput:
    sent = InferInput(name, list(values.shape), datatype)
    if raw:
        sent.set_data_from_numpy(values, binary_data=True)
    else:
        sent.data = values.ravel().tolist()
    return sent


def _infer(ask: Any, model: str, inputs: list[InferInput], **fields: Any) -> InferResponse:
    request = InferRequest(model, inputs, request_id="seven", **fields)
    return ask(lambda client: client.infer(request))


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tensors(ask: Any, raw: bool, dtype: Any) -> None:
    values = np.array([[1, 2], [3, 4]], dtype)
    response = _infer(ask, "double", [_input("x", values, "FP32" if dtype == np.float32 else "FP64", raw)])
    assert (response.id, response.model_name, response.model_version) == ("seven", "double", "1")
    (output,) = response.outputs
    assert (output.name, output.datatype, output.shape) == ("y", "FP32", [2, 2])
    np.testing.assert_array_equal(output.as_numpy(), values * 2)


@pytest.mark.parametrize("raw", [True, False])
def test_another_signature_and_types(ask: Any, raw: bool) -> None:
    inputs = [
        _input("text", np.array([b"a", b"b"], object), "BYTES", raw),
        _input("count", np.array([1, 2], np.int32), "INT32", raw),
        _input("shout", np.array([True, False]), "BOOL", raw),
    ]
    outputs = [RequestedOutput("next"), RequestedOutput("joined"), RequestedOutput("loud")]
    response = _infer(ask, "double", inputs, parameters={"signature_name": "join"}, request_outputs=outputs)
    assert [(one.name, one.datatype) for one in response.outputs] == [
        ("next", "INT64"), ("joined", "BYTES"), ("loud", "BOOL"),
    ]  # fmt: skip
    assert [one.as_numpy().tolist() for one in response.outputs] == [[2, 3], [b"A1", b"b2"], [True, False]]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(("version", "total"), [("", 25.0), ("3", 9.0), ("stable", 9.0)])
def test_features_by_name(ask: Any, raw: bool, version: str, total: float) -> None:
    inputs = [
        _input("fare", np.array([2.0, 1.0], np.float32), "FP32", raw),
        _input("hour", np.array([[5], [0]], np.int64), "INT64", raw),
        _input("company", np.array([b"Blue", b"\xff"], object), "BYTES", raw),
    ]
    response = _infer(ask, "taxi", inputs, model_version=version)
    outputs = {one.name: one.as_numpy() for one in response.outputs}
    assert outputs["total"][0].tolist() == [total]
    assert outputs["company"].tolist() == [[b"Blue"], [b"\xff"]]


def test_serialized_examples(ask: Any) -> None:
    example = tf.train.Example()
    example.features.feature["fare"].float_list.value.append(1.5)
    column = np.array([[example.SerializeToString()]] * 2, object)
    response = _infer(ask, "taxi", [_input("examples", column, "BYTES", True)])
    assert {one.name: one.as_numpy().tolist() for one in response.outputs}["total"] == [[15.0], [15.0]]


def test_readiness_and_metadata(ask: Any, address: str) -> None:
    assert ask(lambda client: client.is_server_live())
    assert ask(lambda client: client.is_server_ready())
    assert ask(lambda client: client.is_model_ready("taxi"))
    with grpc.insecure_channel(address) as channel:
        stub = GRPCInferenceServiceStub(channel)
        assert stub.ServerMetadata(ServerMetadataRequest()).name == "penstock"
        taxi = stub.ModelMetadata(ModelMetadataRequest(name="taxi", version="3"))
    assert (taxi.name, list(taxi.versions), taxi.platform) == ("taxi", ["4", "3"], "tensorflow_savedmodel")
    assert [(one.name, one.datatype, list(one.shape)) for one in taxi.inputs] == [
        ("fare", "FP32", [-1, 1]), ("hour", "INT64", [-1, 1]), ("company", "BYTES", [-1, 1]),
    ]  # fmt: skip
    assert [(one.name, one.datatype, list(one.shape)) for one in taxi.outputs] == [
        ("company", "BYTES", [-1, 1]), ("total", "FP32", [-1, 1]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "inputs", "code", "problem"),
    [
        ("nobody", [], "NOT_FOUND", "no model 'nobody'"),
        ("double", [], "INVALID_ARGUMENT", "input 'x' is missing"),
        ("double", [InferInput("x", [1, 2], "FP32", [1.0])], "INVALID_ARGUMENT", "input 'x': expected 2 values"),
        ("double", [InferInput("x", [1, 3], "FP32", [1.0] * 3)], "INVALID_ARGUMENT", "input 'x': expected the shape"),
        ("double", [InferInput("x", [1, 2], "BYTES", ["a", "b"])], "INVALID_ARGUMENT", "input 'x': expected FP32"),
        ("taxi", [InferInput("fair", [1], "FP32", [1.0])], "INVALID_ARGUMENT", "did you mean 'fare'?"),
        ("taxi", [InferInput("hour", [1], "INT64", [1])], "INVALID_ARGUMENT", "feature 'fare' is missing"),
        (
            "taxi",
            [InferInput("fare", [2], "FP32", [1.0, 2.0]), InferInput("hour", [1], "INT64", [1])],
            "INVALID_ARGUMENT",
            "fare [2], hour [1]",
        ),
        ("taxi", [InferInput("fare", [1], "FP64", [1e300])], "INVALID_ARGUMENT", "input 'fare': expected FP32"),
    ],
)
def test_what_is_refused(ask: Any, model: str, inputs: list[InferInput], code: str, problem: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        _infer(ask, model, inputs)
    assert raised.value.code() is grpc.StatusCode[code]
    assert problem in raised.value.details()


def _fields(message: Any) -> dict[int, tuple[Any, ...]]:
    """Returns a message's fields by number, with those of the messages in it."""
    return {
        field.number: (
            field.name,
            field.type,
            field.is_repeated,
            _fields(field.message_type) if field.message_type else None,
        )
        for field in message.fields
    }


def _without_new(ours: Any, theirs: Any) -> Any:
    """Returns our fields without those that the protocol got after kserve's release: two kinds of parameters."""
    if isinstance(ours, dict):
        return {number: _without_new(field, theirs[number]) for number, field in ours.items() if number in theirs}
    return tuple(
        _without_new(one, other) if isinstance(one, dict) else one for one, other in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("name", sorted(open_inference_pb2.DESCRIPTOR.message_types_by_name))
def test_messages_are_those_of_the_protocol(name: str) -> None:
    ours = _fields(open_inference_pb2.DESCRIPTOR.message_types_by_name[name])
    theirs = _fields(grpc_predict_v2_pb2.DESCRIPTOR.message_types_by_name[name])
    assert _without_new(ours, theirs) == theirs
    assert ours == theirs or name in ("InferParameter", "ModelInferRequest", "ModelInferResponse")

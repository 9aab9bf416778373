"""TensorFlow Serving's PredictionService, asked by the stubs of its own package."""

from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap
from tensorflow_serving.apis.inference_pb2 import InferenceTask, MultiInferenceRequest
from tensorflow_serving.apis.input_pb2 import Input
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.regression_pb2 import RegressionRequest

from tests.components.model_server.grpc.conftest import LARGEST


@pytest.fixture
def stub(channel: grpc.Channel) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def _example(**features: object) -> tf.train.Example:
    example = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, float):
            example.features.feature[name].float_list.value.append(value)
        elif isinstance(value, int):
            example.features.feature[name].int64_list.value.append(value)
        else:
            example.features.feature[name].bytes_list.value.append(str(value).encode())
    return example


def _spec(name: str, **fields: Any) -> ModelSpec:
    version = fields.pop("version", None)
    spec = ModelSpec(name=name, **fields)
    if version is not None:
        spec.version.value = version
    return spec


def _refused(call: Any, request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        call(request, timeout=30)
    return raised.value.code(), raised.value.details()


def test_predict_tensors(stub: Any) -> None:
    request = PredictRequest(model_spec=_spec("double"))
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0, 2.0], [3.0, 4.0]], tf.float32))
    response = stub.Predict(request, timeout=30)
    assert list(response.outputs["y"].float_val) == [2.0, 4.0, 6.0, 8.0]
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), [[2, 4], [6, 8]])
    assert response.model_spec == _spec("double", version=1, signature_name="serving_default")


@pytest.mark.parametrize(
    ("spec", "version", "total"),
    [
        (_spec("taxi"), 4, 25.0),
        (_spec("taxi", version=3), 3, 9.0),
        (_spec("taxi", version_label="stable"), 3, 9.0),
    ],
)
def test_predict_examples_of_a_version(stub: Any, spec: ModelSpec, version: int, total: float) -> None:
    request = PredictRequest(model_spec=spec)
    serialized = [
        _example(fare=2.0, hour=5, company="Blue").SerializeToString(),
        _example(fare=1.0).SerializeToString(),
    ]
    request.inputs["examples"].CopyFrom(tf.make_tensor_proto(serialized))
    response = stub.Predict(request, timeout=30)
    assert response.outputs["total"].float_val[0] == total
    assert list(response.outputs["company"].string_val) == [b"Blue", b""]
    assert response.model_spec.version.value == version


def test_output_filter(stub: Any) -> None:
    request = PredictRequest(model_spec=_spec("double", signature_name="join"), output_filter=["joined", "loud"])
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["a", "b"]))
    request.inputs["count"].CopyFrom(tf.make_tensor_proto([1, 2], tf.int64))
    request.inputs["shout"].CopyFrom(tf.make_tensor_proto([True, False]))
    response = stub.Predict(request, timeout=30)
    assert sorted(response.outputs) == ["joined", "loud"]
    assert list(response.outputs["joined"].string_val) == [b"A1", b"b2"]
    request.output_filter.append("jined")
    code, details = _refused(stub.Predict, request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details == "output_filter: 'jined' is no output: did you mean 'joined'?"


@pytest.mark.parametrize(
    ("spec", "inputs", "code", "problem"),
    [
        (_spec("nobody"), {}, "NOT_FOUND", "no model 'nobody'"),
        (_spec(""), {}, "NOT_FOUND", "expected the name of a model"),
        (_spec("taxi", version=9), {}, "NOT_FOUND", "9"),
        (_spec("taxi", version_label="blue"), {}, "NOT_FOUND", "blue"),
        (_spec("double", signature_name="jion"), {}, "INVALID_ARGUMENT", "did you mean 'join'?"),
        (_spec("double"), {}, "INVALID_ARGUMENT", "input 'x' is missing"),
        (_spec("double"), {"x": [[1.0, 2.0]], "z": [1.0]}, "INVALID_ARGUMENT", "unknown input 'z'"),
        (_spec("double"), {"x": [[1.0, 2.0, 3.0]]}, "INVALID_ARGUMENT", "input 'x': expected the shape [-1, 2]"),
        (_spec("double"), {"x": [["a", "b"]]}, "INVALID_ARGUMENT", "input 'x': expected float32"),
        (_spec("taxi"), {"examples": [b"\xff"]}, "INVALID_ARGUMENT", "the model refuses the inputs"),
        (_spec("taxi"), {"examples": [b""]}, "INVALID_ARGUMENT", "fare"),
    ],
)
def test_what_predict_refuses(stub: Any, spec: ModelSpec, inputs: dict[str, Any], code: str, problem: str) -> None:
    request = PredictRequest(model_spec=spec)
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    received, details = _refused(stub.Predict, request)
    assert received is grpc.StatusCode[code], details
    assert problem in details


def test_a_request_that_is_too_large(stub: Any) -> None:
    request = PredictRequest(model_spec=_spec("double"))
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros([LARGEST // 8, 2], np.float32)))
    code, details = _refused(stub.Predict, request)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(LARGEST) in details


def test_details_that_are_long_arrive(stub: Any) -> None:
    code, details = _refused(stub.Predict, PredictRequest(model_spec=_spec("\N{SNOWMAN} " * 5000)))
    assert code is grpc.StatusCode.NOT_FOUND
    assert "no model" in details


def test_a_deadline(stub: Any) -> None:
    request = PredictRequest(model_spec=_spec("double"))
    rows = np.zeros([1_000_000, 2], np.float32)  # megabytes, or the answer may come within gRPC's millisecond
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(rows))
    with pytest.raises(grpc.RpcError) as raised:
        stub.Predict(request, timeout=1e-6)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def _input(*examples: tf.train.Example, context: tf.train.Example | None = None) -> Input:
    sent = Input()
    if context is None:
        sent.example_list.examples.extend(examples)
    else:
        sent.example_list_with_context.examples.extend(examples)
        sent.example_list_with_context.context.CopyFrom(context)
    return sent


def test_classify(stub: Any) -> None:
    sent = _input(_example(x=0.25), _example(x=1.0))
    response = stub.Classify(ClassificationRequest(model_spec=_spec("estimator"), input=sent), timeout=30)
    received = [[(one.label, one.score) for one in row.classes] for row in response.result.classifications]
    assert received == [[("no", 0.75), ("yes", 0.25)], [("no", 0.0), ("yes", 1.0)]]
    assert response.model_spec.version.value == 1


def test_regress_with_a_context(stub: Any) -> None:
    """An example's own feature counts, and the context's where it has none."""
    spec = _spec("estimator", signature_name="regress")
    sent = _input(_example(x=0.5), _example(), context=_example(x=2.0))
    response = stub.Regress(RegressionRequest(model_spec=spec, input=sent), timeout=30)
    assert [one.value for one in response.result.regressions] == [5.0, 20.0]


def test_multi_inference(stub: Any) -> None:
    tasks = [
        InferenceTask(model_spec=_spec("estimator"), method_name="tensorflow/serving/classify"),
        InferenceTask(
            model_spec=_spec("estimator", signature_name="regress"), method_name="tensorflow/serving/regress"
        ),
    ]
    response = stub.MultiInference(MultiInferenceRequest(tasks=tasks, input=_input(_example(x=1.0))), timeout=30)
    assert [one.WhichOneof("result") for one in response.results] == ["classification_result", "regression_result"]
    assert response.results[0].classification_result.classifications[0].classes[1].score == 1.0
    assert response.results[1].regression_result.regressions[0].value == 10.0


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [
        ([], "tasks: expected at least one"),
        (
            [InferenceTask(model_spec=_spec("double"), method_name="tensorflow/serving/predict")],
            "method_name: expected",
        ),
        ([InferenceTask(model_spec=_spec("double")), InferenceTask(model_spec=_spec("taxi"))], "the same model"),
    ],
)
def test_what_multi_inference_refuses(stub: Any, tasks: list[InferenceTask], problem: str) -> None:
    code, details = _refused(stub.MultiInference, MultiInferenceRequest(tasks=tasks, input=_input(_example(x=1.0))))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert problem in details


@pytest.mark.parametrize(
    ("name", "sent", "problem"),
    [
        ("estimator", Input(), "input: expected at least one example"),
        ("double", _input(_example(x=1.0)), "takes no serialized tf.Examples: ask it with Predict"),
        ("taxi", _input(_example(fare=1.0)), "Classify needs the output classes or scores"),
    ],
)
def test_what_classify_refuses(stub: Any, name: str, sent: Input, problem: str) -> None:
    code, details = _refused(stub.Classify, ClassificationRequest(model_spec=_spec(name), input=sent))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert problem in details


def test_metadata(stub: Any) -> None:
    request = GetModelMetadataRequest(model_spec=_spec("double"), metadata_field=["signature_def"])
    response = stub.GetModelMetadata(request, timeout=30)
    signatures = SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert sorted(signatures.signature_def) == ["join", "serving_default"]
    assert signatures.signature_def["serving_default"].inputs["x"].dtype == tf.float32.as_datatype_enum
    assert signatures.signature_def["join"].method_name == "tensorflow/serving/predict"
    request.metadata_field[0] = "weights"
    assert _refused(stub.GetModelMetadata, request)[0] is grpc.StatusCode.INVALID_ARGUMENT

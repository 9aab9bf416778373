"""TensorFlow Serving's ModelService, asked by the stubs of its own package."""

from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import model_service_pb2_grpc
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, ModelVersionStatus
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.apis.model_pb2 import ModelSpec


@pytest.fixture
def stub(channel: grpc.Channel) -> Any:
    return model_service_pb2_grpc.ModelServiceStub(channel)


def _versions(stub: Any, spec: ModelSpec) -> list[int]:
    response = stub.GetModelStatus(GetModelStatusRequest(model_spec=spec), timeout=30)
    assert {one.state for one in response.model_version_status} == {ModelVersionStatus.AVAILABLE}
    return [one.version for one in response.model_version_status]


def _refused(call: Any, request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        call(request, timeout=30)
    return raised.value.code(), raised.value.details()


def test_status(stub: Any) -> None:
    assert _versions(stub, ModelSpec(name="taxi")) == [4, 3]
    spec = ModelSpec(name="taxi")
    spec.version.value = 3
    assert _versions(stub, spec) == [3]
    spec.version.value = 5
    code, details = _refused(stub.GetModelStatus, GetModelStatusRequest(model_spec=spec))
    assert code is grpc.StatusCode.NOT_FOUND
    assert details == "model 'taxi' has no version 5"
    assert _refused(stub.GetModelStatus, GetModelStatusRequest())[0] is grpc.StatusCode.NOT_FOUND


def _reload(labels: dict[str, dict[str, int]]) -> ReloadConfigRequest:
    request = ReloadConfigRequest()
    for name, versions in labels.items():
        config = request.config.model_config_list.config.add(name=name)
        config.version_labels.update(versions)
    return request


def test_labels(stub: Any) -> None:
    assert _versions(stub, ModelSpec(name="taxi", version_label="stable")) == [3]
    assert stub.HandleReloadConfigRequest(_reload({"taxi": {"canary": 4}}), timeout=30).status.error_code == 0
    assert _versions(stub, ModelSpec(name="taxi", version_label="canary")) == [4]
    assert _versions(stub, ModelSpec(name="taxi", version_label="stable")) == [3]


@pytest.mark.parametrize(
    ("labels", "code", "problem"),
    [
        ({}, "INVALID_ARGUMENT", "expected a model_config_list"),
        ({"taxi": {"stable": 4}, "nobody": {}}, "NOT_FOUND", "there is no model 'nobody'"),
        ({"taxi": {"stable": 4}, "double": {"x": 7}}, "INVALID_ARGUMENT", "'x' names version 7 of double"),
    ],
)
def test_a_wrong_request_changes_nothing(stub: Any, labels: dict[str, Any], code: str, problem: str) -> None:
    received, details = _refused(stub.HandleReloadConfigRequest, _reload(labels))
    assert received is grpc.StatusCode[code]
    assert problem in details
    assert _versions(stub, ModelSpec(name="taxi", version_label="stable")) == [3]

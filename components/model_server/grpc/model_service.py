"""TensorFlow Serving's ModelService: the versions of a model, and the labels that point at them."""

import grpc
from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis.get_model_status_pb2 import (
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelVersionStatus,
)
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest, ReloadConfigResponse
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig

from penstock.components.model_server.grpc import calls
from penstock.components.model_server.grpc.prediction_service import target
from penstock.components.model_server.inference import Kind, Models, RequestError, Target, VersionStatus
from penstock.core.suggestions import did_you_mean, listed
from penstock.core.text import printable

NAME = "tensorflow.serving.ModelService"


class ModelService:
    """Answers for all models."""

    def __init__(self, models: Models):
        self._models = models

    def handler(self) -> grpc.GenericRpcHandler:
        return calls.service(
            NAME,
            [
                calls.Method("GetModelStatus", GetModelStatusRequest, self._status),
                calls.Method("HandleReloadConfigRequest", ReloadConfigRequest, self._reload),
            ],
        )

    async def _status(self, request: GetModelStatusRequest, timeout: float | None) -> GetModelStatusResponse:
        asked = target(request.model_spec)
        versions = [one for one in self._models.status(asked.model) if _is_asked(asked, one)]
        if not versions:
            version = asked.label or asked.version
            raise RequestError(Kind.NOT_FOUND, f"model {printable.value(asked.model)} has no version {version}")
        return GetModelStatusResponse(model_version_status=[_message(one) for one in versions])

    async def _reload(self, request: ReloadConfigRequest, timeout: float | None) -> ReloadConfigResponse:
        """Points the labels that the request names; everything else of a model is set when the server starts."""
        configs = request.config.model_config_list.config
        if not configs:
            raise RequestError(Kind.INVALID, "config: expected a model_config_list with the models whose labels change")
        for config in configs:
            self._check(config)
        for config in configs:
            self._models.set_labels(config.name, dict(config.version_labels))
        return ReloadConfigResponse()

    def _check(self, config: ModelConfig) -> None:
        """Raises what `set_labels` would raise, so that nothing is changed if one of several models is wrong."""
        if config.name not in self._models.names:
            raise RequestError(
                Kind.NOT_FOUND,
                f"config: there is no model {printable.value(config.name)}, and models are added by starting the "
                f"server anew; {did_you_mean(config.name, self._models.names, 'there are')}",
            )
        loaded = {one.version for one in self._models.status(config.name) if one.state.name == "AVAILABLE"}
        for label, version in config.version_labels.items():
            if version not in loaded:
                versions = listed([str(one) for one in sorted(loaded)]) or "none"
                raise RequestError(
                    Kind.INVALID,
                    f"version_labels: {printable.value(label)} names version {version} of {config.name}, which is not "
                    f"loaded; expected one of {versions}",
                )


def _is_asked(asked: Target, status: VersionStatus) -> bool:
    if asked.label:
        return asked.label in status.labels
    return asked.version is None or asked.version == status.version


def _message(status: VersionStatus) -> ModelVersionStatus:
    message = ModelVersionStatus(version=status.version, state=status.state.value)
    if status.error:
        message.status.error_code = error_codes_pb2.UNKNOWN
        message.status.error_message = status.error
    return message

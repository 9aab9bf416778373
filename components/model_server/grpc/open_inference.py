"""The Open Inference Protocol's GRPCInferenceService."""

from collections.abc import Mapping, Sequence

import grpc
import numpy as np

from penstock.components.model_server.grpc import calls
from penstock.components.model_server.inference import Kind, Models, RequestError
from penstock.components.model_server.open_inference import datatypes, requests, tensors
from penstock.components.model_server.open_inference.open_inference_pb2 import (
    InferTensorContents,
    ModelInferRequest,
    ModelInferResponse,
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelReadyRequest,
    ModelReadyResponse,
    ServerLiveRequest,
    ServerLiveResponse,
    ServerMetadataRequest,
    ServerMetadataResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)
from penstock.components.model_server.open_inference.tensors import InferTensor
from penstock.core.text import printable

NAME = "inference.GRPCInferenceService"
_FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class OpenInferenceService:
    """Answers for all models."""

    def __init__(self, models: Models):
        self._models = models

    def handler(self) -> grpc.GenericRpcHandler:
        return calls.service(
            NAME,
            [
                calls.Method("ServerLive", ServerLiveRequest, self._live),
                calls.Method("ServerReady", ServerReadyRequest, self._ready),
                calls.Method("ServerMetadata", ServerMetadataRequest, self._server),
                calls.Method("ModelReady", ModelReadyRequest, self._model_ready),
                calls.Method("ModelMetadata", ModelMetadataRequest, self._model),
                calls.Method("ModelInfer", ModelInferRequest, self._infer),
            ],
        )

    async def _live(self, request: ServerLiveRequest, timeout: float | None) -> ServerLiveResponse:
        return ServerLiveResponse(live=True)

    async def _ready(self, request: ServerReadyRequest, timeout: float | None) -> ServerReadyResponse:
        return ServerReadyResponse(ready=self._models.ready)

    async def _server(self, request: ServerMetadataRequest, timeout: float | None) -> ServerMetadataResponse:
        return ServerMetadataResponse(name=requests.SERVER, version=requests.VERSION, extensions=requests.EXTENSIONS)

    async def _model_ready(self, request: ModelReadyRequest, timeout: float | None) -> ModelReadyResponse:
        return ModelReadyResponse(ready=requests.is_ready(self._models, requests.target(request.name, request.version)))

    async def _model(self, request: ModelMetadataRequest, timeout: float | None) -> ModelMetadataResponse:
        with self._models.lease(requests.target(request.name, request.version)) as servable:
            signature = servable.signature()
            name = servable.model
        return ModelMetadataResponse(
            name=name,
            versions=requests.versions(self._models, name),
            platform=requests.PLATFORM,
            inputs=[_metadata(one) for one in requests.inputs_metadata(signature)],
            outputs=[_metadata(one) for one in requests.outputs_metadata(signature)],
        )

    async def _infer(self, request: ModelInferRequest, timeout: float | None) -> ModelInferResponse:
        sent = _tensors(request)
        with self._models.lease(requests.target(request.model_name, request.model_version)) as servable:
            signature = servable.signature(request.parameters[requests.SIGNATURE].string_param)
            names = requests.requested(signature, [output.name for output in request.outputs])
            prediction = await servable.predict(signature, requests.inputs(signature, sent), timeout)
            response = ModelInferResponse(model_name=servable.model, model_version=str(servable.version), id=request.id)
        _answer(response, {name: prediction.outputs[name] for name in names}, bool(request.raw_input_contents))
        return response


def _metadata(tensor: requests.TensorMetadata) -> ModelMetadataResponse.TensorMetadata:
    return ModelMetadataResponse.TensorMetadata(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)


def _tensors(request: ModelInferRequest) -> list[InferTensor]:
    """Returns the inputs of a request. Either all of them are in raw_input_contents, or each has its contents."""
    raw: Sequence[bytes] = request.raw_input_contents
    if not raw:
        return [_with_contents(one) for one in request.inputs]
    if len(raw) != len(request.inputs):
        raise RequestError(
            Kind.INVALID,
            f"raw_input_contents: expected contents for each of the {len(request.inputs)} inputs, received {len(raw)}",
        )
    for one in request.inputs:
        if one.HasField("contents"):
            raise RequestError(
                Kind.INVALID,
                f"input {printable.value(one.name)}: expected no contents beside those in raw_input_contents",
            )
    return [
        _decoded(one, tensors.from_raw(one.name, one.datatype, one.shape, contents))
        for one, contents in zip(request.inputs, raw, strict=True)
    ]


def _with_contents(sent: ModelInferRequest.InferInputTensor) -> InferTensor:
    if datatypes.dtype(sent.datatype) is not None and sent.datatype not in _FIELDS:
        raise RequestError(
            Kind.INVALID, f"input {printable.value(sent.name)}: expected {sent.datatype} in raw_input_contents"
        )
    field = _FIELDS.get(sent.datatype)
    values = list(getattr(sent.contents, field)) if field else []
    return _decoded(sent, tensors.from_values(sent.name, sent.datatype, sent.shape, values))


def _decoded(sent: ModelInferRequest.InferInputTensor, tensor: InferTensor) -> InferTensor:
    is_base64 = sent.datatype == datatypes.BYTES and sent.parameters["content_type"].string_param == "base64"
    return tensors.from_base64(tensor) if is_base64 else tensor


def _answer(response: ModelInferResponse, outputs: Mapping[str, np.ndarray], raw: bool) -> None:
    """Writes the outputs in the form in which the inputs came; without raw ones where a type has a field of its own."""
    types = {name: requests.datatype(name, array) for name, array in outputs.items()}
    raw = raw or any(datatype not in _FIELDS for datatype in types.values())
    for name, array in outputs.items():
        output = response.outputs.add(name=name, datatype=types[name], shape=array.shape)
        if raw:
            response.raw_output_contents.append(tensors.to_raw(array))
        else:
            contents = InferTensorContents()
            getattr(contents, _FIELDS[types[name]]).extend(array.ravel().tolist())
            output.contents.CopyFrom(contents)

"""TensorFlow Serving's PredictionService: Predict, Classify, Regress, MultiInference and GetModelMetadata."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import grpc
import numpy as np
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest, ClassificationResponse
from tensorflow_serving.apis.get_model_metadata_pb2 import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    SignatureDefMap,
)
from tensorflow_serving.apis.inference_pb2 import (
    InferenceResult,
    InferenceTask,
    MultiInferenceRequest,
    MultiInferenceResponse,
)
from tensorflow_serving.apis.input_pb2 import Input
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.regression_pb2 import RegressionRequest, RegressionResponse

from penstock.components.model_server.grpc import calls, examples, tensors
from penstock.components.model_server.inference import (
    Kind,
    Models,
    RequestError,
    Servable,
    ServedSignature,
    Target,
)
from penstock.core.suggestions import did_you_mean
from penstock.core.text import printable

NAME = "tensorflow.serving.PredictionService"
_METADATA = "signature_def"


class PredictionService:
    """Answers for all models."""

    def __init__(self, models: Models):
        self._models = models

    def handler(self) -> grpc.GenericRpcHandler:
        return calls.service(
            NAME,
            [
                calls.Method("Predict", PredictRequest, self._predict),
                calls.Method("Classify", ClassificationRequest, self._classify),
                calls.Method("Regress", RegressionRequest, self._regress),
                calls.Method("MultiInference", MultiInferenceRequest, self._multi_inference),
                calls.Method("GetModelMetadata", GetModelMetadataRequest, self._metadata),
            ],
        )

    async def _predict(self, request: PredictRequest, timeout: float | None) -> PredictResponse:
        inputs = {name: tensors.to_array(name, proto) for name, proto in request.inputs.items()}
        with self._leased(request.model_spec) as (servable, signature):
            _check_filter(request.output_filter, signature)
            prediction = await servable.predict(signature, inputs, timeout)
            response = PredictResponse(model_spec=_spec(servable, signature))
        for name, array in prediction.outputs.items():
            if not request.output_filter or name in request.output_filter:
                response.outputs[name].CopyFrom(tensors.to_proto(array))
        return response

    async def _classify(self, request: ClassificationRequest, timeout: float | None) -> ClassificationResponse:
        with self._leased(request.model_spec) as (servable, signature):
            outputs = await _outputs(servable, signature, request.input, timeout)
            spec = _spec(servable, signature)
        return ClassificationResponse(model_spec=spec, result=examples.classifications(signature, outputs))

    async def _regress(self, request: RegressionRequest, timeout: float | None) -> RegressionResponse:
        with self._leased(request.model_spec) as (servable, signature):
            outputs = await _outputs(servable, signature, request.input, timeout)
            spec = _spec(servable, signature)
        return RegressionResponse(model_spec=spec, result=examples.regressions(signature, outputs))

    async def _multi_inference(self, request: MultiInferenceRequest, timeout: float | None) -> MultiInferenceResponse:
        """Answers each task on the same examples; all are of one model, as TensorFlow Serving wants them."""
        if not request.tasks:
            raise RequestError(Kind.INVALID, "tasks: expected at least one")
        if len({task.model_spec.name for task in request.tasks}) > 1:
            raise RequestError(Kind.INVALID, "tasks: expected all to name the same model")
        answers = [self._task(task, request.input, timeout) for task in request.tasks]
        return MultiInferenceResponse(results=await asyncio.gather(*answers))

    async def _task(self, task: InferenceTask, sent: Input, timeout: float | None) -> InferenceResult:
        method = task.method_name.removeprefix("tensorflow/serving/")
        if method not in ("classify", "regress"):
            raise RequestError(
                Kind.INVALID,
                "method_name: expected tensorflow/serving/classify or tensorflow/serving/regress, "
                f"received {printable.value(task.method_name)}",
            )
        with self._leased(task.model_spec) as (servable, signature):
            outputs = await _outputs(servable, signature, sent, timeout)
            result = InferenceResult(model_spec=_spec(servable, signature))
        if method == "classify":
            result.classification_result.CopyFrom(examples.classifications(signature, outputs))
        else:
            result.regression_result.CopyFrom(examples.regressions(signature, outputs))
        return result

    async def _metadata(self, request: GetModelMetadataRequest, timeout: float | None) -> GetModelMetadataResponse:
        if list(request.metadata_field) != [_METADATA]:
            raise RequestError(
                Kind.INVALID, f"metadata_field: expected {_METADATA!r}, received {list(request.metadata_field)}"
            )
        with self._models.lease(target(request.model_spec)) as servable:
            response = GetModelMetadataResponse(model_spec=_spec(servable))
            definitions = {name: signature.definition for name, signature in servable.signatures.items()}
        response.metadata[_METADATA].Pack(SignatureDefMap(signature_def=definitions))
        return response

    @contextmanager
    def _leased(self, spec: ModelSpec) -> Iterator[tuple[Servable, ServedSignature]]:
        with self._models.lease(target(spec)) as servable:
            yield servable, servable.signature(spec.signature_name)


def target(spec: ModelSpec) -> Target:
    """Returns which version of which model a request names."""
    version = spec.version.value if spec.HasField("version") else None
    return Target(spec.name, version, spec.version_label)


async def _outputs(
    servable: Servable, signature: ServedSignature, sent: Input, timeout: float | None
) -> Mapping[str, np.ndarray]:
    """Returns the outputs of a signature that takes serialized tf.Examples."""
    prediction = await servable.predict(signature, examples.inputs(signature, sent), timeout)
    return prediction.outputs


def _spec(servable: Servable, signature: ServedSignature | None = None) -> ModelSpec:
    spec = ModelSpec(name=servable.model, signature_name=signature.name if signature else "")
    spec.version.value = servable.version
    return spec


def _check_filter(names: list[str], signature: ServedSignature) -> None:
    for name in names:
        if name not in signature.outputs:
            known = did_you_mean(name, signature.outputs)
            raise RequestError(Kind.INVALID, f"output_filter: {printable.value(name)} is no output: {known}")

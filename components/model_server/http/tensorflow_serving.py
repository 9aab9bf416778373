"""TensorFlow Serving's REST API: predict, classify, regress, the status and the metadata of models.

https://www.tensorflow.org/tfx/serving/api_rest
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from google.protobuf import json_format
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap

from penstock.components.model_server.encoding.json_text import dumps
from penstock.components.model_server.http import predict
from penstock.components.model_server.http.app import Request, Response, Route
from penstock.components.model_server.inference import (
    Kind,
    Models,
    RequestError,
    Servable,
    State,
    Target,
    VersionStatus,
)
from penstock.core.arguments import check_whole_number
from penstock.core.errors import ConfigError
from penstock.core.text import printable

_PLACES = ("/v1/models/{model}", "/v1/models/{model}/versions/{version}", "/v1/models/{model}/labels/{label}")
_VERBS = ("predict", "classify", "regress")
_CLASSES, _SCORES, _OUTPUTS = "classes", "scores", "outputs"  # of classify and regress


def routes(models: Models) -> Iterator[Route]:
    """Returns the routes of the API."""
    api = _Api(models)
    for place in _PLACES:
        for verb, handler in zip(_VERBS, (api.predict, api.classify, api.regress), strict=True):
            yield Route("POST", f"{place}:{verb}", handler, render)
        yield Route("POST", f"{place}:{{verb}}", _no_verb, render)
        yield Route("GET", f"{place}/metadata", api.metadata, render)
        yield Route("GET", place, api.status, render)


def render(error: RequestError) -> Response:
    """Returns an error in TensorFlow Serving's shape."""
    return Response(dumps({"error": error.sentence}), error.kind.value)


class _Api:
    """The handlers."""

    def __init__(self, models: Models):
        self._models = models

    async def predict(self, request: Request) -> Response:
        """Answers rows ("instances") with "predictions", columns ("inputs") with "outputs"."""
        with self._models.lease(_target(request)) as servable:
            return Response(dumps(await predict.answer(servable, predict.json_object(request.body))))

    async def classify(self, request: Request) -> Response:
        """Answers examples with a list of classes and scores for each."""
        with self._models.lease(_target(request)) as servable:
            outputs = await _of_examples(servable, request, (_CLASSES, _SCORES))
            scores, classes = outputs.get(_SCORES), outputs.get(_CLASSES)
            if scores is None:
                assert classes is not None
                scores = np.zeros(classes.shape, np.float32)
            if classes is None:
                classes = np.broadcast_to(np.array(b"", dtype=object), scores.shape)
            labels = [[_label(label) for label in np.atleast_1d(row)] for row in classes]
            pairs = [
                [list(pair) for pair in zip(row, np.atleast_1d(of_row), strict=False)]
                for row, of_row in zip(labels, scores, strict=True)
            ]
            return Response(dumps({"results": pairs}))

    async def regress(self, request: Request) -> Response:
        """Answers examples with a number for each."""
        with self._models.lease(_target(request)) as servable:
            outputs = await _of_examples(servable, request, (_OUTPUTS,))
            values = outputs[_OUTPUTS]
            if values.size != len(values):
                raise RequestError(
                    Kind.INVALID, f"expected an output {_OUTPUTS!r} of one value a row, found {list(values.shape)}"
                )
            return Response(dumps({"results": list(values.reshape(-1))}))

    async def status(self, request: Request) -> Response:
        """Answers with the state of the versions, and with what KServe's V1 protocol has here: a name, and "ready"."""
        target = _target(request)
        statuses = self._models.status(target.model)
        if target.label or target.version is not None:
            statuses = [
                status for status in statuses if status.version == target.version or target.label in status.labels
            ]
            if not statuses:
                with self._models.lease(target):  # says what there is
                    pass
        ready = any(status.state is State.AVAILABLE for status in statuses)
        answer = {"name": target.model, "ready": ready, "model_version_status": [_status(one) for one in statuses]}
        return Response(dumps(answer))

    async def metadata(self, request: Request) -> Response:
        """Answers with the signatures, as protobuf's JSON has them."""
        with self._models.lease(_target(request)) as servable:
            definitions = SignatureDefMap(
                signature_def={name: signature.definition for name, signature in servable.signatures.items()}
            )
            signatures = json_format.MessageToDict(
                definitions, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
            signatures["@type"] = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
            spec = {"name": servable.model, "signature_name": "", "version": str(servable.version)}
            return Response(dumps({"model_spec": spec, "metadata": {"signature_def": signatures}}))


async def _no_verb(request: Request) -> Response:
    verb = request.path_parameters["verb"]
    raise RequestError(Kind.NOT_FOUND, f"there is no {verb!r}: expected {', '.join(_VERBS[:-1])} or {_VERBS[-1]}")


def _target(request: Request) -> Target:
    parameters = request.path_parameters
    version = parameters.get("version")
    if version is None:
        return Target(parameters["model"], label=parameters.get("label", ""))
    try:
        return Target(parameters["model"], check_whole_number("version", version))
    except ConfigError as error:
        raise RequestError(Kind.INVALID, error.message) from None


async def _of_examples(servable: Servable, request: Request, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the outputs of these names for the "examples" of a body, which share the features of its "context"."""
    body = predict.json_object(request.body)
    signature = servable.signature(predict.signature_name(body))
    if not any(name in signature.outputs for name in names):
        raise RequestError(
            Kind.INVALID,
            f"signature {signature.name!r} has the outputs {', '.join(signature.outputs)}: expected "
            f"{' or '.join(names)}, or ask it with :predict",
        )
    rows = predict.rows(body, "examples")
    context = body.get("context", {})
    if not isinstance(context, dict):
        raise RequestError(
            Kind.INVALID, f"context: expected an object of features, received {printable.value(context)}"
        )
    shared = [context | row if isinstance(row, dict) else row for row in rows]
    prediction = await servable.predict(signature, signature.json.inputs_from_rows(shared))
    return {name: output for name, output in prediction.outputs.items() if name in names}


def _label(label: Any) -> str:
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)


def _status(status: VersionStatus) -> dict[str, Any]:
    code = "UNKNOWN" if status.error else "OK"
    return {
        "version": str(status.version),
        "state": status.state.name,
        "status": {"error_code": code, "error_message": status.error},
    }

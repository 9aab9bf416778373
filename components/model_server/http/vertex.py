"""Vertex AI's contract with containers: where it asks stands in the container's environment.

https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from collections.abc import Iterator, Mapping

from penstock.components.model_server.encoding.json_text import dumps
from penstock.components.model_server.http.app import Request, Response, Route
from penstock.components.model_server.http.predict import json_object, rows, signature_name
from penstock.components.model_server.http.tensorflow_serving import render
from penstock.components.model_server.inference import Kind, Models, RequestError, Target
from penstock.core.text import printable

_HEALTH, _PREDICT = "AIP_HEALTH_ROUTE", "AIP_PREDICT_ROUTE"


def health_paths(environment: Mapping[str, str]) -> list[str]:
    """Returns where Vertex AI asks whether the server is ready: one path, or none outside of Vertex AI."""
    return [environment[_HEALTH]] if environment.get(_HEALTH) else []


def predict_paths(environment: Mapping[str, str]) -> list[str]:
    """Returns where Vertex AI sends requests: one path, or none outside of Vertex AI."""
    return [environment[_PREDICT]] if environment.get(_PREDICT) else []


def routes(models: Models, environment: Mapping[str, str]) -> Iterator[Route]:
    """Returns the routes that the environment names, which come before all others; none outside of Vertex AI."""

    async def health(_: Request) -> Response:
        return Response(dumps({"ready": models.ready}), 200 if models.ready else 503)

    async def predict(request: Request) -> Response:
        """Answers "instances" with "predictions". Of the "parameters" only "signature_name" is looked at."""
        content = json_object(request.body)
        parameters = content.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise RequestError(Kind.INVALID, f"parameters: expected an object, received {printable.value(parameters)}")
        with models.lease(Target()) as servable:
            signature = servable.signature(signature_name(parameters, "parameters."))
            prediction = await servable.predict(signature, signature.json.inputs_from_rows(rows(content)))
            return Response(dumps({"predictions": signature.json.rows(prediction.outputs)}))

    for path in health_paths(environment):
        yield Route("GET", path, health, render)
    for path in predict_paths(environment):
        yield Route("POST", path, predict, render)

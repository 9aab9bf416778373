"""The Open Inference Protocol (V2) over REST: https://github.com/kserve/open-inference-protocol

health.py has its paths for the server's health.
"""

from collections.abc import Iterator

from penstock.components.model_server.encoding.json_text import dumps
from penstock.components.model_server.http.app import Request, Response, Route
from penstock.components.model_server.http.tensorflow_serving import render
from penstock.components.model_server.inference import Models, Target
from penstock.components.model_server.open_inference import parts, requests, rest

_PLACES = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
_JSON_LENGTH = parts.JSON_LENGTH.lower().encode()


def routes(models: Models) -> Iterator[Route]:
    """Returns the routes of the protocol."""

    async def server(_: Request) -> Response:
        return Response(dumps(rest.server_metadata()))

    async def names(_: Request) -> Response:
        return Response(dumps({"models": list(models.names)}))

    async def metadata(request: Request) -> Response:
        with models.lease(_target(request)) as servable:
            content = rest.metadata(servable.model, requests.versions(models, servable.model), servable.signature())
        return Response(dumps(content))

    async def ready(request: Request) -> Response:
        is_ready = requests.is_ready(models, _target(request))
        return Response(dumps({"name": request.path_parameters["model"], "ready": is_ready}), 200 if is_ready else 503)

    async def infer(request: Request) -> Response:
        with models.lease(_target(request)) as servable:
            asked = rest.parse(request.body, request.header(_JSON_LENGTH).decode("latin-1") or None)
            answer = await rest.answer(servable, servable.signature(asked.signature), asked)
        if answer.json_length is None:
            return Response(answer.body)
        length = (_JSON_LENGTH, b"%d" % answer.json_length)
        return Response(answer.body, content_type=b"application/octet-stream", headers=(length,))

    yield Route("GET", "/v2", server, render)
    yield Route("GET", "/v2/models", names, render)
    for place in _PLACES:
        yield Route("POST", f"{place}/infer", infer, render)
        yield Route("GET", f"{place}/ready", ready, render)
        yield Route("GET", place, metadata, render)


def _target(request: Request) -> Target:
    return requests.target(request.path_parameters["model"], request.path_parameters.get("version", ""))

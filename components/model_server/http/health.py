"""Whether the server lives, and whether it is ready for requests: the Open Inference Protocol's paths."""

from collections.abc import Iterator

from penstock.components.model_server.encoding.json_text import dumps
from penstock.components.model_server.http.app import Request, Response, Route
from penstock.components.model_server.http.tensorflow_serving import render
from penstock.components.model_server.inference import Models


def routes(models: Models) -> Iterator[Route]:
    """Returns the routes: live as long as the process answers, ready when every model is loaded and warm."""

    async def live(_: Request) -> Response:
        return Response(dumps({"live": True}))

    async def ready(_: Request) -> Response:
        return Response(dumps({"ready": models.ready}), 200 if models.ready else 503)

    yield Route("GET", "/v2/health/live", live, render)
    yield Route("GET", "/v2/health/ready", ready, render)

"""What KServe's V1 protocol has beside TensorFlow Serving's REST API, from which it comes.

Predictions are asked at the same URLs, and rows alike; `/v1/models/{model}` is answered with what either protocol
expects there (tensorflow_serving.py). The server's root says that it lives (pages/routes.py).
https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from collections.abc import Iterator

from penstock.components.model_server.encoding.json_text import dumps
from penstock.components.model_server.http.app import Request, Response, Route
from penstock.components.model_server.http.tensorflow_serving import render
from penstock.components.model_server.inference import Models


def routes(models: Models) -> Iterator[Route]:
    """Returns the routes that are KServe's alone."""

    async def names(_: Request) -> Response:
        return Response(dumps({"models": list(models.names)}))

    yield Route("GET", "/v1/models", names, render)

"""`/openapi.json`, `/docs`, and the server's root, which is the page in a browser."""

from collections.abc import Iterator

from penstock.components.model_server.encoding.json_text import dumps
from penstock.components.model_server.http.app import Request, Response, Route
from penstock.components.model_server.http.pages import docs, openapi
from penstock.components.model_server.http.tensorflow_serving import render
from penstock.components.model_server.inference import Models

_HTML = b"text/html; charset=utf-8"


def routes(models: Models) -> Iterator[Route]:
    """Returns the routes of the pages."""

    async def document(_: Request) -> Response:
        return Response(dumps(openapi.document(models)))

    async def page(request: Request) -> Response:
        host = request.header(b"host").decode("latin-1")
        return Response(docs.html(models, request.scheme, host).encode(), content_type=_HTML)

    async def root(request: Request) -> Response:
        """Sends a browser to the page. Others ask KServe's V1 protocol here whether the server lives."""
        if b"text/html" in request.header(b"accept"):
            return Response(b"", 307, _HTML, ((b"location", b"docs"),))
        return Response(dumps({"status": "alive"}))

    yield Route("GET", "/openapi.json", document, render)
    yield Route("GET", "/docs", page, render)
    yield Route("GET", "/", root, render)

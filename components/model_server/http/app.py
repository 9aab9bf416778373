"""The ASGI application: it reads a request, finds its route, and sends what the route's handler answers.

A protocol is a module with a function that returns its routes. A handler gets a Request and returns a Response; a
RequestError that it raises is rendered by the route's own function, so that each protocol's errors have its shape.
"""

import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.routing import compile_path

from penstock.components.model_server.inference import Kind, RequestError
from penstock.core.suggestions import listed

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
logger = logging.getLogger(__name__)


class Request:
    """A request whose body has been read. Names of headers are in lower case."""

    __slots__ = ("_scope", "body", "path_parameters")

    def __init__(self, scope: Scope, path_parameters: Mapping[str, Any], body: bytes):
        self._scope = scope
        self.path_parameters = path_parameters
        self.body = body

    @property
    def method(self) -> str:
        return str(self._scope["method"])

    @property
    def path(self) -> str:
        return str(self._scope["path"])

    @property
    def scheme(self) -> str:
        """Returns "http" or "https"."""
        return str(self._scope["scheme"])

    @property
    def query(self) -> bytes:
        query: bytes = self._scope["query_string"]
        return query

    def header(self, name: bytes) -> bytes:
        """Returns the value of a header; empty if there is none."""
        for key, value in self._scope["headers"]:
            if key == name:
                return bytes(value)
        return b""


@dataclass(slots=True)
class Response:
    """An answer: its body as it is sent."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


type Handler = Callable[[Request], Awaitable[Response]]
type Render = Callable[[RequestError], Response]


@dataclass(frozen=True)
class Route:
    """What answers a method at a path, in Starlette's notation: `/v1/models/{model}:predict`."""

    method: str
    path: str
    handler: Handler
    render: Render


class App:
    """The application of some routes, of which the first that matches answers."""

    def __init__(self, routes: Iterable[Route], render: Render):
        self._routes = [(compile_path(route.path), route) for route in routes]
        self._render = render  # for paths that no route has
        self._find = functools.lru_cache(maxsize=1024)(self._find_anew)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            with contextlib.suppress(ClientGone):  # nobody waits for an answer
                await _send(send, await self._answer(scope, receive))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        render = self._render
        try:
            route, parameters = self._find(scope["method"], scope["path"])
            render = route.render
            return await route.handler(Request(scope, parameters, await _body(receive)))
        except RequestError as error:
            return render(error)
        except ClientGone:
            raise
        except RecursionError:
            return render(RequestError(Kind.INVALID, "the body: expected JSON that is less deeply nested"))
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            return render(RequestError(Kind.INTERNAL, "the server failed: its log says why"))

    def _find_anew(self, method: str, path: str) -> tuple[Route, Mapping[str, Any]]:
        """Returns the route of a request, and the parameters in its path; a RequestError if there is none."""
        others = []
        for (pattern, _, converters), route in self._routes:
            match = pattern.match(path)
            if match is None:
                continue
            if route.method == method or (route.method, method) == ("GET", "HEAD"):
                return route, {name: converters[name].convert(text) for name, text in match.groupdict().items()}
            others.append(route.method)
        if others:
            raise RequestError(Kind.NO_METHOD, f"{path} takes {listed(sorted({*others}))}, not {method}")
        raise RequestError(Kind.NOT_FOUND, f"nothing is at {path}")


class ClientGone(Exception):
    """Whoever asked has closed the connection before the request was whole."""


async def _body(receive: Receive) -> bytes:
    message = await receive()
    if not message.get("more_body"):
        body: bytes = message.get("body", b"")
        return body
    parts = [message["body"]]
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _send(send: Send, response: Response) -> None:
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})

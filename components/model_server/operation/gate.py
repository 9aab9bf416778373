"""What every HTTP request passes before its protocol sees it: the token, the limits, what metrics and logs note.

It is the outermost ASGI application. It reads the body, so that a protocol gets it whole, in one message, or not.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

import orjson

from penstock.components.model_server.inference import Kind, RequestError
from penstock.components.model_server.operation import calls, settings, tokens
from penstock.components.model_server.operation.calls import ANSWERED, CURRENT, Call
from penstock.components.model_server.operation.connections import REFUSED
from penstock.components.model_server.operation.metrics import CONTENT_TYPE
from penstock.components.model_server.operation.observers import Observers
from penstock.core.text import printable

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_logger = logging.getLogger(__name__)

METRICS_PATH = "/metrics"
# Paths that answer without a token and under any load: who asks them wants to know whether the server lives.
HEALTH_PATHS = frozenset({"/", "/ping", "/v2/health/live", "/v2/health/ready"})
_READING = ("GET", "HEAD")
_PROTOCOLS = {"v1": "rest", "v2": "open_inference", "invocations": "sagemaker"}
_OUTCOMES = {kind.value: kind.name.lower() for kind in Kind} | {408: "slow_client", 431: "too_large"}
_PASSING = (Kind.BUSY.value, Kind.NOT_READY.value)  # who gets these may come again
_RETRY_AFTER = b"1"  # second


class Gate:
    """An ASGI application that passes requests on to another, within the limits."""

    def __init__(
        self,
        application: Application,
        operation: settings.Operation,
        observers: Observers,
        health_paths: Collection[str] = (),
        vertex_paths: Collection[str] = (),
    ):
        """`health_paths` are further ones; at `vertex_paths` Vertex AI asks, of which metrics shall tell."""
        self._application = application
        self._limits = operation.limits
        self._tokens = tokens.Tokens(operation.token) if operation.token else None
        self._observers = observers
        self._health_paths = HEALTH_PATHS.union(health_paths)
        self._vertex_paths = frozenset(vertex_paths)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["path"] in self._health_paths and scope["method"] in _READING):
            await self._application(scope, receive, send)
            return
        path = scope["path"]
        headers = dict(scope["headers"])
        call = Call(
            calls.request_id(headers.get(b"x-request-id")),
            "vertex" if path in self._vertex_paths else _PROTOCOLS.get(path[1:].partition("/")[0], "http"),
            scope["method"],
            path,
            scope["client"][0] if scope["client"] else "",
        )
        CURRENT.set(call)
        answer = _Answer(call, send)
        observers = self._observers
        observers.in_flight += 1
        try:
            await self._handle(scope, headers, receive, answer)
        finally:
            observers.in_flight -= 1
            if path != METRICS_PATH:
                call.outcome = answer.outcome
                observers.answered(call)

    async def _handle(
        self, scope: MutableMapping[str, Any], headers: dict[bytes, bytes], receive: Receive, answer: "_Answer"
    ) -> None:
        call = answer.call
        refusal = self._refusal(scope, headers)
        if refusal:
            await answer.refuse(*refusal)
            return
        if call.path == METRICS_PATH:
            self._observers.metrics.refresh()
            text = await asyncio.get_running_loop().run_in_executor(None, self._observers.metrics.text)
            await answer.write(200, text, CONTENT_TYPE.encode())
            return
        body = await self._body(receive, answer)
        if body is None:
            answer.status = call.status = answer.status or scope.get(REFUSED, 0)
            return
        call.received_bytes = len(body)
        events = self._observers.events
        if events and call.method == "POST" and events.sampled():
            content_type = headers.get(b"content-type", b"application/json").decode("latin-1")
            event_id = calls.event_id(headers.get(b"ce-id"), call)
            events.requested(event_id, call.time, content_type, body)
            answer.kept = []
        try:
            await self._application(scope, _replayed(body, receive), answer.send)
        except RequestError as error:
            await answer.refuse(error.kind.value, error.sentence)
        except Exception:
            _logger.exception("request %s failed", call.request_id)
            await answer.refuse(500, "the server failed; its log says why")
        if events and answer.kept is not None and answer.status == 200:
            events.answered(event_id, call.time, content_type, b"".join(answer.kept))

    def _refusal(self, scope: MutableMapping[str, Any], headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        """Returns the status and the sentence for a request that is not even read."""
        size = len(scope["raw_path"]) + len(scope["query_string"])
        for name, value in scope["headers"]:
            size += len(name) + len(value) + 4  # ": " and the line's end
        if size > self._limits.header_bytes:  # and came at once: connections refuses those that come in pieces
            return 431, f"expected headers of at most {self._limits.header_bytes:,} bytes"
        if self._tokens and not self._tokens.accept(headers.get(b"authorization")):
            return Kind.UNAUTHORIZED.value, tokens.REFUSAL
        if self._observers.in_flight > self._limits.requests:
            return Kind.BUSY.value, f"{self._limits.requests:,} requests are being answered already: try again later"
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
        if encoding.lower() != "identity":
            expected = "Content-Encoding: expected a body that is not compressed"
            return Kind.UNSUPPORTED.value, f"{expected}, received {printable.value(encoding)}"
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > self._limits.body_bytes:
            return Kind.TOO_LARGE.value, self._too_large
        return None

    @property
    def _too_large(self) -> str:
        return f"expected a body of at most {self._limits.body_bytes:,} bytes, found more"

    async def _body(self, receive: Receive, answer: "_Answer") -> bytes | None:
        """Returns the body; None if it is too large, or the client is gone, as it is when it was too slow."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self._limits.body_bytes:
                await answer.refuse(Kind.TOO_LARGE.value, self._too_large)
                return None
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)


class _Answer:
    """The answer as it is sent: its status and size, and its body where CloudEvents want it."""

    __slots__ = ("_send", "call", "kept", "status")

    def __init__(self, call: Call, send: Send):
        self.call = call
        self._send = send
        self.status = 0
        self.kept: list[bytes] | None = None

    @property
    def outcome(self) -> str:
        if 0 < self.status < 400:
            return ANSWERED
        return _OUTCOMES.get(self.status, "invalid" if self.status < 500 else "internal") if self.status else "aborted"

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = self.call.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.call.request_id.encode())]
            if self.status in _PASSING:
                headers.append((b"retry-after", _RETRY_AFTER))
            message["headers"] = headers
        else:
            body = message.get("body", b"")
            self.call.sent_bytes += len(body)
            if self.kept is not None:
                self.kept.append(bytes(body))
        await self._send(message)

    async def refuse(self, status: int, sentence: str) -> None:
        """Answers with an error in the shape that all protocols have in common; nothing once an answer has begun."""
        if self.status:
            return
        headers = []
        if status == Kind.UNAUTHORIZED.value:
            headers.append((b"www-authenticate", b"Bearer"))
        await self.write(status, orjson.dumps({"error": sentence}), b"application/json", headers)

    async def write(
        self, status: int, body: bytes, content_type: bytes, more: Collection[tuple[bytes, bytes]] = ()
    ) -> None:
        """Sends a whole answer."""
        headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *more]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that has the body in its first message; after it, only that the client has gone can come."""
    read = False

    async def replay() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay

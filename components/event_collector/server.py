"""Takes events over HTTP until SIGTERM, then writes all of them into the log."""

import asyncio
import json
import logging
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from penstock.components.event_collector.collector import Collector, Full
from penstock.components.event_collector.events import Event, Ignored, NoEvent
from penstock.components.event_collector.metrics import Metrics
from penstock.components.event_collector.settings import Settings
from penstock.components.model_server.listening import Server, address, listening
from penstock.components.model_server.operation.connections import limited
from penstock.components.model_server.operation.settings import Limits
from penstock.core.errors import SystemFailure

_TEXT = b"text/plain; charset=utf-8"
_HEALTH = ("/", "/healthz")
_GRACE = 10  # seconds for the events that are on their way at the end
logger = logging.getLogger(__name__)

type _Scope = MutableMapping[str, Any]
type _Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type _Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def collect(settings: Settings) -> None:
    """Collects until the process gets SIGTERM or SIGINT; returns when the log has all that was answered with 200.

    As soon as it listens, a line of JSON on standard output says where: `{"http": "http://127.0.0.1:8080"}`. Raises a
    UserError if it cannot listen or keep journals, and a SystemFailure if at the end the log takes no files: the
    journals have what is missing there, for the next start.
    """
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    metrics = Metrics()
    with listening(settings.host, settings.port) as listener:
        collector = Collector(settings, metrics)
        collector.start()
        try:
            asyncio.run(_serve(settings, App(settings, collector, metrics), listener))
        finally:
            left = collector.close()
    if left > 0:
        raise SystemFailure(f"{settings.log} takes no files: {settings.journals} has the events for the next start")


class App:
    """The ASGI application."""

    def __init__(self, settings: Settings, collector: Collector, metrics: Metrics) -> None:
        self._settings, self._collector, self._metrics = settings, collector, metrics

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            return
        status, text = await self._answer(scope, receive)
        headers = [(b"content-type", _TEXT), (b"content-length", b"%d" % len(text))]
        if status == 503:
            headers.append((b"retry-after", b"5"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    async def _answer(self, scope: _Scope, receive: _Receive) -> tuple[int, bytes]:
        if scope["method"] in ("GET", "HEAD"):
            if scope["path"] == "/metrics":
                return 200, self._metrics.text()
            if scope["path"] not in _HEALTH:
                return 404, b"events are sent here with POST\n"
            return (200, b"ok\n") if self._collector.is_alive else (503, b"no events are kept: start again\n")
        if scope["method"] != "POST":
            return 405, b"events are sent here with POST\n"
        status, text = await self._take(scope, receive)
        self._metrics.events.labels(text if status == 200 else "refused").inc()
        return status, f"{text}\n".encode()

    async def _take(self, scope: _Scope, receive: _Receive) -> tuple[int, str]:
        """Returns the status of an event's answer, with what became of it or why it is refused."""
        received = time.time_ns() // 1000
        body = await _body(receive, self._settings.event_bytes)
        if body is None:
            return 413, f"expected an event of at most {self._settings.event_bytes:,} bytes"
        try:
            event = Event.of(scope["headers"], body, received, self._settings.namespace)
            is_new = await asyncio.wrap_future(self._collector.add(event))
        except NoEvent as error:
            return 400, str(error)
        except Ignored:
            return 200, "ignored"
        except Full as error:
            return 503, str(error)
        except OSError as error:
            return 503, f"the event is not kept: {error.strerror}"
        return 200, "kept" if is_new else "duplicate"


async def _body(receive: _Receive, most: int) -> bytes | None:
    """Returns the body; None if it has too many bytes."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


async def _serve(settings: Settings, app: App, listener: socket.socket) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=limited(Limits()),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    server = Server(config)
    sys.stdout.write(json.dumps({"http": address(listener)}) + "\n")
    sys.stdout.flush()
    serving, stopped = asyncio.create_task(server.serve([listener])), asyncio.create_task(stopping.wait())
    await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    logger.info("stopping")
    server.should_exit = True
    await serving
    if not stopping.is_set():
        raise SystemFailure("the HTTP server has ended by itself: start again")

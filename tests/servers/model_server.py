"""A model server of ours in a thread of the test, and a client that asks it over HTTP."""

import asyncio
import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from penstock.components.model_server import server
from penstock.components.model_server.listening import address, listening
from penstock.components.model_server.settings import ModelSettings, ServerSettings


@dataclass(frozen=True)
class Answer:
    """The status of an answer, its headers and its body; and what is in that as JSON."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Asks the server at a URL, each time over a new connection. `grpc` is where it serves gRPC, if it does."""

    url: str
    grpc: str = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Sends a request, whose body is sent as JSON unless it is bytes."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, content, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, body: Any) -> Answer:
        return self.ask("POST", path, body)

    def wait_until_ready(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while self.get("/v2/health/ready").status != 200:
            assert time.monotonic() < end, "the server has not become ready"
            time.sleep(0.02)


@contextlib.contextmanager
def serving(*models: ModelSettings, **settings: Any) -> Iterator[Client]:
    """Yields a client of a server that is ready; at the end the server answers what it has accepted, and stops."""
    with starting(ServerSettings(models, port=0, **settings)) as client:
        client.wait_until_ready()
        yield client


@contextlib.contextmanager
def starting(settings: ServerSettings) -> Iterator[Client]:
    """Yields a client of a server that listens; at the end what made it fail is raised."""
    failures: list[BaseException] = []
    refused: list[BaseException] = []
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    addresses: dict[str, str] = {}
    with listening(settings.host, 0) as listener:

        async def run() -> None:
            running.append((asyncio.get_running_loop(), asyncio.Event()))
            try:
                await server.run(settings, listener, running[0][1], addresses.update)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        thread.start()
        while not addresses and not failures:
            time.sleep(0.001)
        try:
            yield Client(address(listener, "https" if settings.operation.tls else "http"), addresses.get("grpc", ""))
        except OSError as error:  # it may have ended, for the reason that comes first
            refused.append(error)
        finally:
            loop, stopping = running[0]
            with contextlib.suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(stopping.set)
            thread.join(60)
            assert not thread.is_alive(), "the server has not stopped"
    for failure in failures + refused:
        raise failure

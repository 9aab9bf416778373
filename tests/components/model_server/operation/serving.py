"""An HTTP server behind a gate, for tests: it answers with what was sent, and waits where a path says so."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import uvicorn

from penstock.components.model_server.inference import Kind, Prediction, RequestError
from penstock.components.model_server.operation import calls, settings
from penstock.components.model_server.operation.certificates import Certificate
from penstock.components.model_server.operation.connections import limited
from penstock.components.model_server.operation.gate import Gate
from penstock.components.model_server.operation.metrics import Metrics
from penstock.components.model_server.operation.observers import Observers

LARGE = 50_000_000  # bytes: more than the sockets' buffers hold


async def echo(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
    """Answers with the size of the body; /slow waits for a quarter of a second; /late, /busy and /broken fail."""
    if scope["type"] != "http":
        return
    body = (await receive())["body"] if scope["method"] == "POST" else b""
    if scope["path"] == "/late":
        raise RequestError(Kind.LATE, "no answer within 1 seconds")
    if scope["path"] == "/busy":
        await send({"type": "http.response.start", "status": 429, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    if scope["path"] == "/broken":
        raise ZeroDivisionError
    if scope["path"] == "/slow":
        await asyncio.sleep(0.25)
    if scope["path"].startswith("/v1/models/taxi"):
        calls.leased("taxi", 3)
        outputs = {"size": np.array([len(body)])}
        calls.predicted("serving_default", {"body": np.array([body], object)}, Prediction(outputs, 1, 0.001, 0.002))
    answer = b"x" * LARGE if scope["path"] == "/large" else json.dumps({"size": len(body)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@dataclass
class Running:
    port: int
    metrics: Metrics
    observers: Observers

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(20)
        return connection

    def exchange(self, *parts: bytes, shut: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Sends bytes on a connection of its own; returns the answer's status, headers and body."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            if shut:
                connection.shutdown(socket.SHUT_WR)
            return read_answer(connection)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return 0, {}, received
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return int(status.split()[1]), headers, body


def post(path: str = "/", body: bytes = b"", **headers: str) -> bytes:
    """Returns the bytes of a request."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nhost: here\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


def get(path: str, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nhost: here\r\n{lines}\r\n".encode()


@contextmanager
def serving(operation: settings.Operation, application: Any = echo) -> Iterator[Running]:
    """Runs the server in a thread until the context ends, and then everything that it has accepted is answered."""
    metrics = Metrics()
    observers = Observers(operation, metrics)
    certificate = Certificate(operation.tls) if operation.tls else None
    config = uvicorn.Config(
        Gate(application, operation, observers),  # type: ignore[arg-type]
        http=limited(operation.limits),
        ssl_context_factory=(lambda _, __: certificate.context) if certificate else None,
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    observers.start()
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        yield Running(listener.getsockname()[1], metrics, observers)
    finally:
        server.should_exit = True
        thread.join(20)
        observers.close()

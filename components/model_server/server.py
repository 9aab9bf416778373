"""Puts the server together: the models, the application and uvicorn; and ends it without losing a request."""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping

import uvicorn

from penstock.components.model_server.grpc import server as grpc_server
from penstock.components.model_server.http import routes, tensorflow_serving, vertex
from penstock.components.model_server.http.app import App
from penstock.components.model_server.listening import BACKLOG, Server, address, listening
from penstock.components.model_server.models.served import ServedModels
from penstock.components.model_server.operation import grpc_gate
from penstock.components.model_server.operation.certificates import Certificate
from penstock.components.model_server.operation.connections import limited
from penstock.components.model_server.operation.gate import Gate
from penstock.components.model_server.operation.grpc_gate import GrpcGate
from penstock.components.model_server.operation.metrics import Metrics
from penstock.components.model_server.operation.observers import Observers
from penstock.components.model_server.settings import ServerSettings

_KEEP_ALIVE = 75  # seconds; longer than load balancers keep an idle connection, so that they close it
logger = logging.getLogger(__name__)


def serve(settings: ServerSettings) -> None:
    """Serves until the process gets SIGTERM or SIGINT, then answers what it has accepted and returns.

    As soon as it listens, one line of JSON on standard output says where: `{"http": "http://127.0.0.1:8501"}`, with
    `"grpc": "127.0.0.1:8500"` if gRPC is served. The models are loaded after that, so readiness is to be asked. Raises
    a UserError if a port is taken, a ModelError if a model cannot be loaded.
    """
    for library in ("tensorflow", "uvicorn"):
        logging.getLogger(library).setLevel(logging.ERROR)
    with listening(settings.host, settings.port) as listener, asyncio.Runner(loop_factory=_new_event_loop) as runner:
        runner.run(_serve_until_signal(settings, listener))


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve_until_signal(settings: ServerSettings, listener: socket.socket) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await run(settings, listener, stopping, _print)


def _print(addresses: Mapping[str, str]) -> None:
    sys.stdout.write(json.dumps(addresses) + "\n")
    sys.stdout.flush()


async def run(
    settings: ServerSettings,
    listener: socket.socket,
    stopping: asyncio.Event,
    listens: Callable[[Mapping[str, str]], None],
) -> None:
    """Serves at a socket until `stopping` is set, then answers what has been accepted.

    `listens` is called with the addresses as soon as requests can be sent there.
    """
    operation, metrics = settings.operation, Metrics()
    observers = Observers(operation, metrics)
    certificate = Certificate(operation.tls) if operation.tls else None
    models = ServedModels(settings, metrics)
    metrics.watch(models)
    metrics.gauge("penstock_queue_requests", "Requests that wait to be computed", lambda: models.waiting)
    app = App(routes.every(models, os.environ), tensorflow_serving.render)
    gate = Gate(app, operation, observers, vertex.health_paths(os.environ), vertex.predict_paths(os.environ))
    server = Server(_uvicorn(gate, settings, certificate))
    url = address(listener, "https" if operation.tls else "http")
    addresses = {"http": url}
    rpc = None
    if settings.grpc:
        rpc = grpc_server.make(models, grpc_gate.options(operation.limits), [GrpcGate(operation, observers)])
        credentials = certificate.grpc_credentials() if certificate else None
        addresses["grpc"] = grpc_server.bind(rpc, settings.host, settings.grpc_port, credentials)
        await rpc.start()
    observers.start()
    listens(addresses)
    started = time.monotonic()
    serving = asyncio.create_task(server.serve([listener]))
    starting = asyncio.create_task(models.start())
    stop = asyncio.create_task(stopping.wait())
    renewing = asyncio.create_task(certificate.watch()) if certificate else None
    try:
        await asyncio.wait((starting, stop, serving), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            where = f"ready at {url} after {time.monotonic() - started:.2f} s"
            logger.info("%s: %s", where, ", ".join(models.names))
            await asyncio.wait((stop, serving), return_when=asyncio.FIRST_COMPLETED)
        logger.info("stopping")
    finally:
        starting.cancel()
        stop.cancel()
        if renewing:
            renewing.cancel()
        models.is_stopping = True
        server.should_exit = True
        await asyncio.gather(serving, *([rpc.stop(settings.timeout + 1)] if rpc else []))
        await models.stop()
        await asyncio.get_running_loop().run_in_executor(None, observers.close)


def _uvicorn(app: Gate, settings: ServerSettings, certificate: Certificate | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=limited(settings.operation.limits),
        ssl_context_factory=(lambda config, default: certificate.context) if certificate else None,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(settings.timeout) + 1,
    )

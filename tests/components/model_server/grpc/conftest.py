"""A gRPC server with small models, in a thread of the tests."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from penstock.components.model_server.grpc import server
from penstock.components.model_server.models.served import ServedModels
from penstock.components.model_server.settings import ModelSettings, ServerSettings, Versions
from tests.components.model_server import small

LARGEST = 1 << 20


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model folders by name, each with its versions."""
    folder = tmp_path_factory.mktemp("models")
    small.tensors(folder / "double" / "1")
    small.examples(folder / "taxi" / "3", 2.0)
    small.examples(folder / "taxi" / "4", 10.0)
    small.estimator(folder / "estimator" / "1")
    return folder


@pytest.fixture(scope="session")
def address(models_folder: Path) -> Iterator[str]:
    """Serves `double`, `estimator`, and both versions of `taxi`, of which 3 is labelled stable."""
    models = (
        ModelSettings("double", str(models_folder / "double")),
        ModelSettings("estimator", str(models_folder / "estimator")),
        ModelSettings("taxi", str(models_folder / "taxi"), Versions(all=True), {"stable": 3}),
    )
    loop = asyncio.new_event_loop()
    started: list[str] = []
    ready, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        served = ServedModels(ServerSettings(models))
        await served.start()
        grpc_server = server.make(served, LARGEST)
        started.append(f"127.0.0.1:{grpc_server.add_insecure_port('127.0.0.1:0')}")
        await grpc_server.start()
        ready.set()
        await over.wait()
        await grpc_server.stop(1)
        await served.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()], daemon=True)
    thread.start()
    assert ready.wait(60)
    yield started[0]
    loop.call_soon_threadsafe(over.set)
    thread.join(30)
    loop.close()


@pytest.fixture
def channel(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as channel:
        yield channel

"""A server with small models that gRPC's clients ask."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from penstock.components.model_server.operation.settings import Limits, Operation
from penstock.components.model_server.settings import ModelSettings, Versions
from tests.components.model_server import small
from tests.servers.model_server import serving

LARGEST = 1 << 20  # bytes of a message


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
    operation = Operation(Limits(body_bytes=LARGEST))
    with serving(*models, grpc=True, grpc_port=0, operation=operation) as client:
        yield client.grpc


@pytest.fixture
def channel(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as channel:
        yield channel

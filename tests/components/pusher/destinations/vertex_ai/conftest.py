"""An endpoint of Vertex AI on loopback, and models that are pushed to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.components.pusher.destinations import rollout
from penstock.components.pusher.destinations.destination import Pushed
from penstock.components.pusher.destinations.vertex_ai import destination
from penstock.components.pusher.destinations.vertex_ai.service import VertexAI as Service
from penstock.core.artifacts import SavedModel
from penstock.core.files import atomic
from penstock.core.services import retries, waiting
from tests.servers import object_stores
from tests.servers.object_stores import ObjectStore
from tests.servers.vertex import VertexAI

IMAGE = "europe-west4-docker.pkg.dev/my-project/penstock/penstock-serving:1"


@pytest.fixture(scope="module")
def running_bucket() -> Iterator[ObjectStore]:
    with object_stores.gcs() as store:
        yield store


@pytest.fixture
def bucket(running_bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """An empty bucket of Google's store."""
    for name, value in running_bucket.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(atomic._MOUNTS, "gs", Path("/nowhere"))
    running_bucket.remove_everything()
    return running_bucket


@pytest.fixture
def vertex(monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexAI]:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    monkeypatch.setattr(waiting, "PAUSE", 0.01)
    with VertexAI() as server:
        yield server


@pytest.fixture
def service(vertex: VertexAI, bucket: ObjectStore) -> Callable[..., Service]:
    """Returns a function that reads settings; what it leaves out is a first push's."""

    def read(**settings: Any) -> Service:
        own = {"storage": bucket.uri("serving"), "image": IMAGE, "endpoint": "taxi", "project": "my-project"}
        return destination("vertex_ai", {**own, "api_endpoint": vertex.url, **settings})

    return read


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """Three folders with what a SavedModel has in it; a push copies them and loads nothing."""
    folders = [tmp_path / f"model-{number}" for number in range(3)]
    for folder in folders:
        (folder / "variables").mkdir(parents=True)
        (folder / SavedModel.FILE).write_bytes(folder.name.encode())
        (folder / "variables" / "variables.index").write_bytes(b"index")
    return folders


@pytest.fixture
def push(service: Callable[..., Service], models: list[Path]) -> Callable[..., Pushed]:
    """Returns a function that pushes a model by its number."""
    return lambda number, **settings: rollout.push(service(**settings), models[number])

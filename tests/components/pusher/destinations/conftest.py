"""Models to push, and the services that they are pushed to, on loopback."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.components.pusher.destinations.sagemaker import destination
from penstock.components.pusher.destinations.sagemaker.service import SageMaker as Destination
from penstock.core.artifacts import SavedModel
from penstock.core.services import retries, waiting
from tests.servers import object_stores
from tests.servers.mounts import as_mounted
from tests.servers.object_stores import ObjectStore
from tests.servers.sagemaker import REGION, SageMaker

ROLE = "arn:aws:iam::123456789012:role/serving"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/penstock-serving:1.0"

type MakeDestination = Callable[..., Destination]


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[[str], Path]:
    """Returns a function that writes a model; to a Pusher it is files, whatever they hold."""

    def make(name: str) -> Path:
        model = SavedModel(tmp_path / "models" / name)
        (model.root / "variables").mkdir(parents=True, exist_ok=True)
        (model.root / "variables" / "variables.index").write_text(f"weights of {name}")
        model.path.write_text(f"graph of {name}")
        return model.root

    return make


@pytest.fixture(scope="session")
def s3_store() -> Iterator[ObjectStore]:
    with object_stores.s3() as store:
        yield store


@pytest.fixture
def server(s3_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SageMaker]:
    """SageMaker with nothing in it, and a mounted bucket. Nothing is waited for longer than it takes."""
    moto = s3_store.environment["AWS_ENDPOINT_URL_S3"]
    for name, value in {**s3_store.environment, "AWS_ENDPOINT_URL_CLOUDWATCH": moto, "AWS_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    as_mounted(monkeypatch, "s3", tmp_path / "s3", tmp_path / "mountinfo")
    for module in (waiting, retries):
        monkeypatch.setattr(module, "PAUSE", 0.0)
    with SageMaker() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", server.url)
        yield server


@pytest.fixture
def make_destination(server: SageMaker, s3_store: ObjectStore) -> MakeDestination:
    """Returns a function that makes the destination from its settings, as a push reads them each time."""

    def make(**settings: Any) -> Destination:
        base = {"endpoint": "taxi", "storage": s3_store.uri("serving"), "role": ROLE, "image": IMAGE, "timeout": 20}
        return destination("push_destination.sagemaker", json.loads(json.dumps({**base, **settings})))

    return make

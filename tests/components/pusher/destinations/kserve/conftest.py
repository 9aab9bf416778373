"""A cluster with KServe on loopback, and pushes to it."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.components.pusher.destinations import kserve
from penstock.components.pusher.destinations.changes import Changes
from penstock.components.pusher.destinations.destination import Candidate
from penstock.components.pusher.destinations.kserve import readiness
from penstock.components.pusher.destinations.kserve.service import KServe
from penstock.core.services import retries, waiting
from tests.servers import kubernetes_server, real_inference_services
from tests.servers.inference_services import InferenceServicesAPI
from tests.servers.kubernetes_server import KubernetesServer
from tests.servers.real_inference_services import RealInferenceServicesAPI

SETTINGS = {
    "name": "taxi",
    "namespace": "team",
    "storage": "s3://models/taxi",
    "image": "registry.example.com/serving:1",
}
LOGGER = {"mode": "all", "url": "http://sink.team", "metadataAnnotations": ["penstock.dev/model-version"]}


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesServer]:
    """A real API server with KServe's resource, where KUBEBUILDER_ASSETS names the binaries."""
    assets = kubernetes_server.binaries()
    if assets is None:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd")
    with KubernetesServer(tmp_path_factory.mktemp("api-server"), assets) as server:
        real_inference_services.prepare(server)
        yield server


@pytest.fixture(params=["loopback", *(["real"] if kubernetes_server.binaries() else [])])
def api(request: pytest.FixtureRequest) -> Callable[[str], InferenceServicesAPI]:
    """Returns what makes an API with KServe in a mode: on loopback, and on a real API server if there is one."""
    if request.param == "loopback":
        return InferenceServicesAPI
    server = request.getfixturevalue("api_server")
    return lambda mode: RealInferenceServicesAPI(mode, server)


@pytest.fixture(params=["Knative"])
def cluster(
    request: pytest.FixtureRequest,
    api: Callable[[str], InferenceServicesAPI],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[InferenceServicesAPI]:
    monkeypatch.setattr(retries, "PAUSE", 0.001)
    monkeypatch.setattr(waiting, "PAUSE", 0.001)
    monkeypatch.setattr(readiness, "PATIENCE", 0.0)
    with api(request.param) as running:
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig(tmp_path / "kubeconfig")))
        yield running


def service(**settings: Any) -> KServe:
    return kserve.destination("push_destination.kserve", SETTINGS | {"timeout": 20} | settings)


def candidate(number: int, push: str = "") -> Candidate:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return Candidate(f"s3://models/taxi/{number}", digest, push or f"push-{number}")


@pytest.fixture
def push(cluster: InferenceServicesAPI) -> Callable[..., list[str]]:
    """Pushes a version with its share, as the Pusher does; a failure is undone, and its `left` says what stays."""

    def push(number: int, percent: int = 100, **settings: Any) -> list[str]:
        return changing(lambda changes: service(**settings).deploy(candidate(number), percent, changes))

    return push


def changing(change: Callable[[Changes], None]) -> list[str]:
    """Makes changes; where they fail, undoes them, and raises the error with what is left behind as its notes."""
    changes = Changes()
    try:
        change(changes)
    except Exception as error:
        for note in changes.undo():
            error.add_note(note)
        raise
    return []


def shares(**settings: Any) -> dict[str, int]:
    """Returns the percentages of the versions, as `penstock endpoints` shows them."""
    endpoint = service(**settings).endpoint()
    return {one.version: one.percent for one in endpoint.deployments} if endpoint else {}

"""A Kubeflow cluster on this machine: its object store, its pods as processes, and the server that runs are sent to."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.components import answers
from penstock.pipelines import kubeflow_server
from tests.servers import object_stores
from tests.servers.cluster import processes
from tests.servers.cluster.cluster import KubeflowCluster
from tests.servers.cluster.pods import Namespace
from tests.servers.cluster.processes import ProcessPod
from tests.servers.kubeflow_pipelines import KubeflowPipelines

BUCKET = "team"


@dataclass(frozen=True)
class Kubeflow:
    """A cluster and its server."""

    cluster: KubeflowCluster
    server: KubeflowPipelines


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of an S3 server with KFP's own bucket, and one of the team's."""
    with object_stores.s3() as store:
        yield store.environment["AWS_ENDPOINT_URL_S3"]


@pytest.fixture
def kubeflow(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AbstractContextManager[Kubeflow]]:
    """Returns a function that starts a cluster with pods as processes, and a server for it."""
    processes.require()
    monkeypatch.setattr(answers, "PAUSE", 0.01)
    monkeypatch.delenv(kubeflow_server.HOST_VARIABLE, raising=False)

    @contextmanager
    def start(namespace: Namespace | None = None, attempts: bool = True) -> Iterator[Kubeflow]:
        object_stores.request(f"{endpoint}/moto-api/reset", "POST")
        cluster = KubeflowCluster(tmp_path / "nodes", endpoint, ProcessPod, namespace, attempts=attempts)
        cluster.store.make("mlpipeline")
        cluster.store.make(BUCKET)
        with cluster, KubeflowPipelines(cluster=cluster) as server:
            yield Kubeflow(cluster, server)

    return start

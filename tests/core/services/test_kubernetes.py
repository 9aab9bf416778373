"""The connection to a Kubernetes API: from a kubeconfig, and from a pod's service account."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.config import incluster_config

from penstock.core.errors import ConfigError, ServerError
from penstock.core.services import kubernetes, retries
from penstock.core.services.kubernetes import Kind, Server
from penstock.core.services.retries import NotFound, Unanswered
from tests.servers.kubernetes_api import PodsAPI
from tests.servers.loopback import Status

KIND = Kind("things.example.com", "v1", "things", name="Things", operator="the operator of Things", role="things-edit")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodsAPI]:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    with PodsAPI("team") as running:
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig(tmp_path / "kubeconfig")))
        yield running


def pods(server: Server) -> Any:
    return server.repeat(server.core.list_namespaced_pod, label_selector="a=b").items


def test_a_kubeconfig_names_the_server_and_the_namespace(cluster: PodsAPI) -> None:
    server = Server()
    assert (server.host, server.namespace, pods(server)) == (cluster.url, "team", [])
    assert Server(namespace="other").namespace == "other"


def test_without_a_cluster_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/kubeconfig")
    with pytest.raises(ConfigError, match="no Kubernetes API: expected the service account of a pod, or a kubeconfig"):
        Server()


def test_a_pod_has_a_service_account(cluster: PodsAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its token, its authority and its namespace are files; where the API is, are variables."""
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("s3cret")
    (account / "namespace").write_text("team\n")
    (account / "ca.crt").write_text("an authority")
    monkeypatch.setattr(kubernetes, "_ACCOUNT", account)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(account / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(account / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", cluster.url.rpartition(":")[2])
    monkeypatch.setattr(incluster_config.InClusterConfigLoader, "_set_config", _without_tls)
    server = Server()
    assert (server.namespace, pods(server)) == ("team", [])
    (request,) = cluster.requests
    assert request.headers["authorization"] == "bearer s3cret"
    assert server.known, "a pod waits for its own cluster's API, whose address nobody has typed"


def _without_tls(loader: Any, configuration: Any) -> None:
    """As the loader's own, to a server that speaks no TLS."""
    configuration.host = re.sub("^https", "http", loader.host)
    configuration.api_key["authorization"] = loader.token


def test_what_an_operator_brings(cluster: PodsAPI) -> None:
    server = Server(KIND)
    route = "/apis/things.example.com/v1/namespaces/team/things/one"
    cluster.fail(
        "GET",
        route,
        Status(404, "the server could not find the requested resource"),
        Status(404, html="404 page not found"),
        Status(404, 'things "one" not found'),
        Status(403, "forbidden"),
        Status(503, headers={"Retry-After": "0"}),
    )

    def get() -> Any:
        return server.request(server.objects.get_namespaced_custom_object, **KIND.place, name="one")

    for _ in range(2):
        with pytest.raises(ServerError, match=r"has no Things \(404\): install the operator of Things in the cluster"):
            get()
    with pytest.raises(NotFound, match=r'404: things "one" not found'):
        get()
    with pytest.raises(ServerError, match=r"\(403: forbidden\): bind the role things-edit to the service account"):
        get()
    with pytest.raises(Unanswered, match=r"failed \(503\)"):
        get()

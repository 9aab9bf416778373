"""The InferenceServices of a real Kubernetes API server, behind the same front as those on loopback.

The front has the script of failures, and the pods, events and revisions, which there are none of without a kubelet. The
InferenceServices themselves are kept by the real server, which knows them by a CustomResourceDefinition that is made of
KServe's own models: its merge patches, its conflicts, its roles, and what it refuses. The front's controller writes
their status, as KServe's does.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.servers.inference_services import InferenceServicesAPI, merged
from tests.servers.kubernetes_server import KubernetesServer
from tests.servers.loopback import Refusal, Request
from tests.servers.openapi_models import check, schema

ROLE = Path(__file__).parents[2] / "docs" / "kserve_role.yaml"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/team/inferenceservices"
_MERGE = "application/merge-patch+json"
_ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/team"


class Stored(Mapping[str, Any]):
    """What the real server has, by name."""

    def __init__(self, server: KubernetesServer) -> None:
        self._server = server

    def __getitem__(self, name: str) -> Any:
        try:
            return self._server.call("GET", f"{SERVICES}/{name}")
        except Refusal:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter([item["metadata"]["name"] for item in self._server.call("GET", SERVICES)["items"]])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def clear(self) -> None:
        for name in self:
            self._server.call("DELETE", f"{SERVICES}/{name}")


class RealInferenceServicesAPI(InferenceServicesAPI):
    def __init__(self, mode: str, server: KubernetesServer) -> None:
        super().__init__(mode)
        self._server = server
        self.stored = Stored(server)  # type: ignore[assignment]

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self.stored.clear()

    def look(self, name: str) -> Any:
        service = self.stored[name]
        status = self.controllers[name].step(service)
        if status != service.get("status"):
            check("V1beta1InferenceServiceStatus", status, "status")
            body = service | {"status": status}
            self._server.call("PUT", f"{SERVICES}/{name}/status", body)
        return self._server.call("GET", f"{SERVICES}/{name}", token=self._server.ACCOUNT)

    def edit(self, name: str, patch: dict[str, Any]) -> None:
        self._server.call("PATCH", f"{SERVICES}/{name}", patch, kind=_MERGE)
        self.controllers[name].change(self.rollout, self.lag)

    def _create(self, body: Any) -> Any:
        self._admit(body, None)
        made = self._server.call("POST", f"{SERVICES}?fieldValidation=Strict", body, self._server.ACCOUNT)
        self._control(made)
        return made

    def _patch(self, name: str, request: Request) -> Any:
        kind, before = request.headers.get("Content-Type", ""), self.stored[name]
        path = f"{SERVICES}/{name}?fieldValidation=Strict"
        self._admit(merged(before, request.body), before)
        changed = self._server.call("PATCH", path, request.body, self._server.ACCOUNT, kind)
        if changed["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
            self.controllers[name].change(self.rollout, self.lag)
        return changed

    def _delete(self, name: str, options: Any) -> Any:
        answer = self._server.call("DELETE", f"{SERVICES}/{name}", options or None, self._server.ACCOUNT)
        del self.controllers[name]
        return answer


def prepare(server: KubernetesServer) -> None:
    """Makes the namespace, KServe's resource, and the role that docs/kserve_role.yaml gives the account."""
    server.call("POST", "/api/v1/namespaces", {"metadata": {"name": "team"}})
    server.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", _definition())
    role, binding = yaml.safe_load_all(ROLE.read_text())
    subject = {"kind": "User", "name": "account", "apiGroup": "rbac.authorization.k8s.io"}
    server.call("POST", f"{_ROLES}/roles", role)
    server.call("POST", f"{_ROLES}/rolebindings", binding | {"subjects": [subject]})
    for _ in range(200):
        with contextlib.suppress(Refusal):
            server.call("GET", SERVICES)
            return
    raise AssertionError("the API server does not serve InferenceServices")


def _definition() -> dict[str, Any]:
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {"type": "object", "properties": {"predictor": schema("V1beta1PredictorSpec")}},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }
    version = {
        "name": "v1beta1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    names = {"kind": "InferenceService", "plural": "inferenceservices", "singular": "inferenceservice"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "inferenceservices.serving.kserve.io"},
        "spec": {"group": "serving.kserve.io", "scope": "Namespaced", "names": names, "versions": [version]},
    }

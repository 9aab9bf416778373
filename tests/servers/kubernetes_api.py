"""A Kubernetes API on loopback: what finds it, and the pods of one namespace with what they printed.

    with PodsAPI("kubeflow") as server:
        server.pods = [pod("small-x7k2p-system-container-impl-17", labels={"pipeline/runid": run_id}, …)]
        server.logs = {"small-x7k2p-system-container-impl-17": "…"}
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(folder / "kubeconfig")))

A label selector chooses, and a log is of one container, as with the real one: a pod that has none is 400.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.servers.loopback import Loopback, Refusal, Request, Status


class KubernetesAPI(Loopback):
    namespace = "team"

    def kubeconfig(self, path: Path) -> Path:
        """Writes the file that clients find this server by."""
        context = {"name": "loopback", "context": {"cluster": "loopback", "user": "test", "namespace": self.namespace}}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "loopback",
            "clusters": [{"name": "loopback", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [context],
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def error(self, failure: Status) -> Any:
        return {"kind": "Status", "status": "Failure", "code": failure.code, "message": failure.message}


class PodsAPI(KubernetesAPI):
    def __init__(self, namespace: str) -> None:
        super().__init__()
        self.namespace = namespace
        self.pods: list[dict[str, Any]] = []
        self.logs: dict[str, str] = {}

    def route(self, path: str) -> str:
        return re.sub(r"/pods/[^/]+", "/pods/{name}", path)

    def answer(self, request: Request) -> Any:
        place = f"/api/v1/namespaces/{self.namespace}/pods"
        if request.path == place:
            key, _, value = request.query["labelSelector"].partition("=")
            found = [pod for pod in self.pods if pod["metadata"]["labels"].get(key) == value]
            return {"kind": "PodList", "apiVersion": "v1", "items": found}
        name = request.path.removeprefix(f"{place}/").removesuffix("/log")
        if name not in {pod["metadata"]["name"] for pod in self.pods}:
            raise Refusal(404, f'pods "{name}" not found')
        if request.query.get("container") != "main" or name not in self.logs:
            raise Refusal(400, f'container "{request.query.get("container")}" in pod "{name}" is waiting to start')
        return "\n".join(self.logs[name].splitlines()[-int(request.query.get("tailLines", 0)) :])


def pod(
    name: str, run_id: str, node: str, terminated: Mapping[str, Any] | None = None, **status: Any
) -> dict[str, Any]:
    """Returns a pod as Argo makes it for a node of a run of KFP; `terminated` is how its container `main` ended."""
    container = {
        "name": "main",
        "image": "registry.example.com/penstock:1",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": dict(terminated)} if terminated else {},
    }
    return {
        "metadata": {
            "name": name,
            "labels": {"pipeline/runid": run_id},
            "annotations": {"workflows.argoproj.io/node-name": node},
        },
        "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": "Failed", "containerStatuses": [container], **status},
    }

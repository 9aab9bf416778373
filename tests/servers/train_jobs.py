"""A Kubernetes API on loopback: Kubeflow's TrainJobs and the pods of one namespace, kept in memory.

    with TrainJobsAPI() as server:
        server.states = ["running", "failed"]    # what each GET of a TrainJob makes of it
        server.pods = [{"metadata": …, "status": …}]

Bodies are read with Kubeflow's own models, and a field that they do not have is 400. A name that exists is 409.
"""

import re
from typing import Any

from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob
from pydantic import ValidationError

from tests.servers.kubernetes_api import KubernetesAPI
from tests.servers.loopback import Refusal, Request

_JOBS = re.compile(r"^/apis/trainer\.kubeflow\.org/v1alpha1/namespaces/team/trainjobs(?:/([^/]+))?$")
_PODS = "/api/v1/namespaces/team/pods"
_CONDITIONS = {"succeeded": "Complete", "failed": "Failed"}


class TrainJobsAPI(KubernetesAPI):
    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, Any] = {}
        self.states: list[str] = []
        self.pods: list[dict[str, Any]] = []

    def route(self, path: str) -> str:
        found = _JOBS.match(path)
        return ("/trainjobs/{name}" if found[1] else "/trainjobs") if found else path

    def answer(self, request: Request) -> Any:
        if request.path == _PODS:
            return {"kind": "PodList", "apiVersion": "v1", "items": self.pods}
        found = _JOBS.match(request.path)
        if not found:
            raise Refusal(404, "the server could not find the requested resource")
        if not found[1]:
            return self._create(request.body) if request.method == "POST" else self._list(request.query)
        if found[1] not in self.stored:
            raise Refusal(404, f'trainjobs.trainer.kubeflow.org "{found[1]}" not found')
        if request.method == "DELETE":
            return self.stored.pop(found[1])
        if self.states:
            self.set_state(found[1], self.states.pop(0))
        return self.stored[found[1]]

    def set_state(self, name: str, state: str) -> None:
        kind = _CONDITIONS.get(state)
        condition = {"type": kind, "status": "True", "message": f"jobset {state}"}
        self.stored[name]["status"] = {"conditions": [condition] if kind else []}

    def _create(self, body: Any) -> Any:
        try:
            read = TrainerV1alpha1TrainJob.from_dict(body)
        except ValidationError as error:
            raise Refusal(400, str(error)) from None
        if read is None or read.to_dict() != body:
            raise Refusal(400, "strict decoding error: unknown field")
        name = body["metadata"]["name"]
        if name in self.stored:
            raise Refusal(409, f'trainjobs.trainer.kubeflow.org "{name}" already exists')
        self.stored[name] = body
        return body

    def _list(self, query: Any) -> Any:
        key, _, value = query["labelSelector"].partition("=")
        found = [one for one in self.stored.values() if one["metadata"]["labels"].get(key) == value]
        return {"kind": "TrainJobList", "items": found}

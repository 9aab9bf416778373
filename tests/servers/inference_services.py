"""A Kubernetes API on loopback with KServe in it: the InferenceServices of one namespace, their pods and events.

    with InferenceServicesAPI() as server:
        server.faults = [None, faults.CRASH]    # what becomes of the next versions
        server.forbidden = ("pods",)            # what the account may not look at
        server.edit("taxi", {"spec": {…}})      # as somebody else does
        server.stored["taxi"]["status"]

Every object is checked with KServe's own models, and by the rules of its webhook. A merge patch upon an older
resourceVersion is 409. kserve_controller.py is what writes the status, a step at each GET.
"""

import copy
import re
from typing import Any

from tests.servers.kserve_controller import Controller, Fault
from tests.servers.kubernetes_api import KubernetesAPI
from tests.servers.loopback import Refusal, Request
from tests.servers.openapi_models import check

_SERVICES = re.compile(r"^/apis/serving\.kserve\.io/v1beta1/namespaces/team/inferenceservices(?:/([^/]+))?$")
_REVISIONS = re.compile(r"^/apis/serving\.knative\.dev/v1/namespaces/team/revisions/([^/]+)$")
_CORE = re.compile(r"^/api/v1/namespaces/team/(pods|events)$")
_WEBHOOK = 'admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: '
_IMPLEMENTATIONS = ("model", "tensorflow", "sklearn", "triton", "xgboost", "pytorch", "onnx", "huggingface")
_MODES = {"Serverless": "Knative", "RawDeployment": "Standard"}


class InferenceServicesAPI(KubernetesAPI):
    """`mode` is that of the cluster, `rollout` how many looks a version takes until it is ready, `lag` how many looks
    pass before KServe notices a change."""

    def __init__(self, mode: str = "Knative") -> None:
        super().__init__()
        self.mode = mode
        self.rollout = 2
        self.lag = 1
        self.faults: list[Fault | None] = []
        self.forbidden: tuple[str, ...] = ()
        self.events: list[dict[str, Any]] = []
        self.stored: dict[str, Any] = {}
        self.controllers: dict[str, Controller] = {}
        self._versions = 100

    def route(self, path: str) -> str:
        found = _SERVICES.match(path)
        if found:
            return "/inferenceservices/{name}" if found[1] else "/inferenceservices"
        core = _CORE.match(path)
        return f"/{core[1]}" if core else _REVISIONS.sub("/revisions/{name}", path)

    def answer(self, request: Request) -> Any:
        core = _CORE.match(request.path)
        if core:
            return self._core(core[1], request)
        revision = _REVISIONS.match(request.path)
        if revision:
            return self._revision(revision[1])
        found = _SERVICES.match(request.path)
        if not found:
            raise Refusal(404, "the server could not find the requested resource")
        if not found[1]:
            return self._create(request.body) if request.method == "POST" else self._list()
        if found[1] not in self.stored:
            raise Refusal(404, f'inferenceservices.serving.kserve.io "{found[1]}" not found')
        if request.method == "PATCH":
            return self._patch(found[1], request)
        if request.method == "DELETE":
            return self._delete(found[1], request.body or {})
        return self.look(found[1])

    def look(self, name: str) -> Any:
        """Lets KServe make its next step, and returns what there is then."""
        service = self.stored[name]
        status = self.controllers[name].step(service)
        if status != service.get("status"):
            check("V1beta1InferenceServiceStatus", status, "status")
            service["status"] = status
            self._changed(service)
        return copy.deepcopy(service)

    def settle(self, name: str) -> Any:
        """Looks until nothing changes any more."""
        for _ in range(self.rollout + self.lag + 4):
            self.look(name)
        return self.look(name)

    def edit(self, name: str, patch: dict[str, Any]) -> None:
        """Changes an InferenceService as somebody else does."""
        self._store(name, merged(self.stored[name], patch))

    def _create(self, body: Any) -> Any:
        name = body["metadata"]["name"]
        if name in self.stored:
            raise Refusal(409, f'inferenceservices.serving.kserve.io "{name}" already exists')
        self._admit(body, None)
        made = copy.deepcopy(body)
        made["metadata"] |= {"namespace": self.namespace, "uid": f"uid-{self._versions}", "generation": 1}
        self._control(made)
        self.stored[name] = made
        self._changed(made)
        return copy.deepcopy(made)

    def _control(self, made: Any) -> None:
        """Puts KServe in charge of a new InferenceService."""
        name, annotations = made["metadata"]["name"], made["metadata"].get("annotations") or {}
        mode = annotations.get("serving.kserve.io/deploymentMode", self.mode)
        self.controllers[name] = Controller(name, _MODES.get(mode, mode), self.rollout, self.lag, self.faults)

    def _patch(self, name: str, request: Request) -> Any:
        kind = request.headers.get("Content-Type", "")
        if kind != "application/merge-patch+json":
            raise Refusal(
                415,
                f"the body of the request was in an unknown format {kind} - accepted media types include: "
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )
        version = request.body.get("metadata", {}).get("resourceVersion")
        if version and version != self.stored[name]["metadata"]["resourceVersion"]:
            raise Refusal(
                409,
                f'Operation cannot be fulfilled on inferenceservices.serving.kserve.io "{name}": the object has been '
                "modified; please apply your changes to the latest version and try again",
            )
        return self._store(name, merged(self.stored[name], request.body))

    def _store(self, name: str, changed: Any) -> Any:
        before = self.stored[name]
        self._admit(changed, before)
        changed["status"] = before.get("status")  # a subresource: only KServe writes it
        if changed != before:
            if changed["spec"] != before["spec"]:
                changed["metadata"]["generation"] += 1
            self.stored[name] = changed
            self.controllers[name].change(self.rollout, self.lag)
            self._changed(changed)
        return copy.deepcopy(self.stored[name])

    def _delete(self, name: str, options: Any) -> Any:
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != self.stored[name]["metadata"]["uid"]:
            raise Refusal(409, f"Precondition failed: UID in precondition: {uid}")
        del self.controllers[name]
        return self.stored.pop(name)

    def _list(self) -> Any:
        return {"kind": "InferenceServiceList", "items": [self.look(name) for name in self.stored]}

    def _revision(self, name: str) -> Any:
        self._allow("revisions")
        for controller in self.controllers.values():
            for one in controller.revisions:
                if one.name == name:
                    return {"metadata": {"name": name, "annotations": one.annotations}, "spec": one.predictor}
        raise Refusal(404, f'revisions.serving.knative.dev "{name}" not found')

    def _allow(self, kind: str) -> None:
        if kind in self.forbidden:
            raise Refusal(403, f'{kind} is forbidden: User "test" cannot list resource "{kind}"')

    def _core(self, kind: str, request: Request) -> Any:
        self._allow(kind)
        if kind == "events":
            name = dict(part.split("=") for part in request.query["fieldSelector"].split(","))["involvedObject.name"]
            found = [event for event in self.events if event["involvedObject"]["name"] == name]
            return {"kind": "EventList", "apiVersion": "v1", "items": found}
        name = request.query["labelSelector"].partition("=")[2]
        pods = self.controllers[name].pods() if name in self.controllers else []
        return {"kind": "PodList", "apiVersion": "v1", "items": pods}

    def _changed(self, service: Any) -> None:
        self._versions += 1
        service["metadata"]["resourceVersion"] = str(self._versions)

    def _admit(self, service: Any, before: Any) -> None:
        """Checks an object as the API's schema and KServe's webhook do."""
        check("V1beta1InferenceService", {key: value for key, value in service.items() if key != "status"})
        name, predictor = service["metadata"]["name"], service["spec"]["predictor"]
        if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
            raise Refusal(403, f'{_WEBHOOK}the InferenceService "{name}" is invalid: a InferenceService name must …')
        made = [kind for kind in (*_IMPLEMENTATIONS, "containers") if predictor.get(kind)]
        if len(made) != 1:
            raise Refusal(403, f"{_WEBHOOK}exactly one of [Custom, ONNX, …] must be specified in PredictorSpec")
        for container in predictor.get("containers", []):
            if any(variable["name"] == "PYTHONPATH" for variable in container.get("env", [])):
                where = f'in container "{container["name"]}"'
                raise Refusal(403, f"{_WEBHOOK}setting PYTHONPATH {where} is not allowed for security reasons")
        if predictor.get("maxReplicas") and predictor.get("minReplicas", 1) > predictor["maxReplicas"]:
            raise Refusal(403, f"{_WEBHOOK}MinReplicas cannot be greater than MaxReplicas.")
        if "logger" in predictor and predictor["logger"].get("mode") not in ("all", "request", "response"):
            raise Refusal(403, f"{_WEBHOOK}Invalid logger type")
        running = ((before or {}).get("status") or {}).get("deploymentMode")
        asked = (service["metadata"].get("annotations") or {}).get("serving.kserve.io/deploymentMode")
        if running and asked and asked != running:
            raise Refusal(
                403, f"{_WEBHOOK}update rejected: deploymentMode cannot be changed from '{running}' to '{asked}'"
            )


def merged(value: Any, patch: Any) -> Any:
    """Returns what a JSON merge patch (RFC 7386) makes of a value."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), item)
    return result

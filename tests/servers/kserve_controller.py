"""What KServe's controller, Knative and Kubernetes make of an InferenceService, a step at a time: status and pods.

Mode Knative: a change of the predictor or of the annotations, apart from the traffic, is a new revision. The newest
revision that is ready gets canaryTrafficPercent of the requests, the one that had all of them last the others; without
the field it gets all. Mode Standard: a Deployment replaces its pods, and the status has no shares.

The rules are those of KServe 0.21 (reconcilers/knative/ksvc_reconciler.go, inference_service_status.go).
"""

import copy
from dataclasses import dataclass, field
from typing import Any

type Json = dict[str, Any]

# Annotations that KServe does not give to the revision.
_NOT_FOR_REVISIONS = ("kubectl.kubernetes.io/last-applied-configuration", "autoscaling.knative.dev/min-scale")


@dataclass(frozen=True)
class Fault:
    """Why a version does not become ready: what its pod says, and what KServe's model status does.

    `container` is the pod's, None where there is no pod, and `failed` whether KServe takes the version for failed.
    """

    container: str | None = "kserve-container"
    waiting: str = ""
    message: str = ""
    exit_code: int = 0
    failed: bool = True


IMAGE = Fault(waiting="ImagePullBackOff", message='Back-off pulling image "serving:9"', failed=False)
UNRESOLVED_IMAGE = Fault(container=None, message="Unable to fetch image: failed to resolve image to digest: 404")
CRASH = Fault(waiting="CrashLoopBackOff", message="loading\npenstock: no model at /mnt/models", exit_code=2)
STORAGE = Fault("storage-initializer", "CrashLoopBackOff", "RuntimeError: Failed to fetch model. 403 Forbidden", 1)
UNSCHEDULABLE = Fault(container="", message="0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", failed=False)


@dataclass
class Revision:
    """A revision that was `ready` keeps its requests, also if a fault comes later."""

    name: str
    template: Json
    left: int
    fault: Fault | None
    ready: bool = False

    @property
    def is_up(self) -> bool:
        return self.ready and self.fault is None

    @property
    def predictor(self) -> Json:
        predictor: Json = self.template["predictor"]
        return predictor

    @property
    def annotations(self) -> Json:
        annotations: Json = self.template["annotations"]
        return annotations


@dataclass
class Controller:
    """`collected` are revisions that Knative has removed. `lag` looks pass before a change is noticed.

    `history` has the shares of the revisions at each look.
    """

    name: str
    mode: str
    rollout: int
    lag: int
    faults: list[Fault | None]
    revisions: list[Revision] = field(default_factory=list)
    collected: set[str] = field(default_factory=set)
    generation: int = 0
    rolled_out: str = ""
    previously_rolled_out: str = ""
    traffic: list[Json] = field(default_factory=list)
    history: list[dict[str, int]] = field(default_factory=list)
    _unseen: int = 0
    _asked: Any = None
    _status: Json | None = None

    def __post_init__(self) -> None:
        self._unseen = self.lag

    def change(self, rollout: int, lag: int) -> None:
        self.rollout, self._unseen = rollout, lag

    def step(self, service: Json) -> Json | None:
        """Does what is next, and returns the status; None before there is any."""
        if self._unseen:
            self._unseen -= 1
            return copy.deepcopy(self._status)
        self._template(service)
        newest = self.revisions[-1]
        if not newest.ready and newest.fault is None:
            newest.left -= 1
            newest.ready = newest.left < 0
        self._status = self._of_knative(service) if self.mode == "Knative" else self._of_standard()
        return copy.deepcopy(self._status)

    def pods(self) -> list[Json]:
        """Returns the pods: those of what is ready, and of what is becoming so."""
        shown = [one for one in self.revisions if one.name not in self.collected][-2:]
        if self.mode == "Standard" and self.revisions and self.revisions[-1].ready:
            shown = self.revisions[-1:]
        return [_pod(one) for one in shown if one.fault is None or one.fault.container is not None]

    def _template(self, service: Json) -> None:
        predictor = {key: value for key, value in service["spec"]["predictor"].items() if key != "canaryTrafficPercent"}
        annotations = service["metadata"].get("annotations") or {}
        given = {key: value for key, value in annotations.items() if key not in _NOT_FOR_REVISIONS}
        template = {"predictor": predictor, "annotations": given}
        if not self.revisions or self.revisions[-1].template != template:
            name = f"{self.name}-predictor-{len(self.revisions) + 1:05d}"
            fault = self.faults.pop(0) if self.faults else None
            self.revisions.append(Revision(name, copy.deepcopy(template), self.rollout, fault))
            self.generation += 1
        asked = service["spec"]["predictor"].get("canaryTrafficPercent")
        if asked != self._asked:
            self.generation, self._asked = self.generation + (self.mode == "Knative"), asked

    def _of_knative(self, service: Json) -> Json:
        newest = self.revisions[-1]
        serving = next((one.name for one in reversed(self.revisions) if one.ready), "")
        targets = self._targets(serving)
        missing = not serving or any(target["revisionName"] in self.collected for target in targets)
        if not missing:
            self.traffic = targets
            self._propagate(serving)
        failed = newest.fault is not None and newest.fault.failed
        configured = _condition("PredictorConfigurationReady", newest.is_up, failed, *self._failure(newest))
        routed = _condition(
            "PredictorRouteReady", not missing, False, "RevisionMissing" if missing else "", "a revision is missing"
        )
        ready = _condition("PredictorReady", newest.is_up and not missing, failed, *self._failure(newest))
        return self._status_of(
            [configured, routed, ready],
            newest,
            latestCreatedRevision=newest.name,
            latestReadyRevision=serving,
            latestRolledoutRevision=self.rolled_out,
            previousRolledoutRevision=self.previously_rolled_out,
            traffic=copy.deepcopy(self.traffic),
        )

    def _targets(self, serving: str) -> list[Json]:
        if self._asked is None or not self.rolled_out:
            return [{"latestRevision": True, "percent": 100, "revisionName": serving}]
        targets = [{"latestRevision": True, "percent": self._asked, "revisionName": serving}]
        if self._asked < 100:
            rest = 100 - self._asked
            targets.append({"latestRevision": False, "percent": rest, "revisionName": self.rolled_out, "tag": "prev"})
        return targets

    def _propagate(self, serving: str) -> None:
        """Keeps which revision had all requests, and which before it."""
        shares: dict[str, int] = {}
        for target in self.traffic:
            shares[target["revisionName"]] = shares.get(target["revisionName"], 0) + target["percent"]
        self.history.append({name: share for name, share in shares.items() if share})
        percent = self.traffic[0]["percent"]
        if self.rolled_out != serving:
            if percent == 100:
                self.previously_rolled_out, self.rolled_out = self.rolled_out, serving
        elif serving == self.revisions[-1].name and percent < 100 and shares[serving] == 100:
            self.rolled_out = self.previously_rolled_out or self.rolled_out

    def _of_standard(self) -> Json:
        newest = self.revisions[-1]
        first = not any(one.ready for one in self.revisions[:-1])
        reason, message = "ReplicaSetUpdated", f'ReplicaSet "{newest.name}" is progressing.'
        if first and not newest.ready:
            reason, message = "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
        return self._status_of([_condition("PredictorReady", newest.ready, first, reason, message)], newest)

    def _failure(self, newest: Revision) -> tuple[str, str]:
        fault = newest.fault
        if fault is None or not fault.failed:
            return "", ""
        what = fault.message if fault.container is None else f"Container failed with: {fault.message}"
        return "RevisionFailed", f'Revision "{newest.name}" failed with message: {what}.'

    def _status_of(self, conditions: list[Json], newest: Revision, **predictor: Any) -> Json:
        ready = conditions[-1]
        known = [*conditions, ready | {"type": "Ready"}, {"type": "IngressReady", "status": ready["status"]}]
        model: Json = {"transitionStatus": "UpToDate" if newest.is_up else "InProgress"}
        fault = newest.fault
        if fault and fault.failed and fault.exit_code:
            model = {
                "transitionStatus": "BlockedByFailedLoad",
                "states": {"activeModelState": "Loaded", "targetModelState": "FailedToLoad"},
                "lastFailureInfo": {"reason": "ModelLoadFailed", "message": fault.message, "exitCode": fault.exit_code},
            }
        url = f"http://{self.name}.team.example.com"
        components = {key: value for key, value in predictor.items() if value}
        return {
            "observedGeneration": self.generation,
            "conditions": sorted(known, key=lambda condition: str(condition["type"])),
            "deploymentMode": self.mode,
            "modelStatus": model,
            "components": {"predictor": components},
            **({"url": url} if any(one.ready for one in self.revisions) else {}),
        }


def _condition(kind: str, ready: bool, failed: bool, reason: str = "", message: str = "") -> Json:
    status = "True" if ready else "False" if failed else "Unknown"
    told = {"reason": reason, "message": message} if reason and not ready else {}
    return {"type": kind, "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z", **told}


def _pod(revision: Revision) -> Json:
    name, fault = f"{revision.name}-deployment-5b6d7-xk2lp", revision.fault
    conditions = [{"type": "Ready", "status": "True" if revision.is_up else "False"}]
    if fault and fault.container == "":
        told = {"reason": "Unschedulable", "message": fault.message}
        conditions.append({"type": "PodScheduled", "status": "False", **told})
    status: Json = {"phase": "Running" if revision.is_up else "Pending", "conditions": conditions}
    if fault and fault.container:
        kind = "initContainerStatuses" if fault.container == "storage-initializer" else "containerStatuses"
        status[kind] = [_container_status(fault)]
    return {
        "metadata": {"name": name, "annotations": dict(revision.annotations)},
        "spec": {"containers": [{"name": "kserve-container"}]},
        "status": status,
    }


def _container_status(fault: Fault) -> Json:
    told = {} if fault.exit_code else {"message": fault.message}
    ended = {"reason": "Error", "exitCode": fault.exit_code, "message": fault.message}
    return {
        "name": fault.container,
        "image": "",
        "imageID": "",
        "ready": False,
        "restartCount": 3,
        "state": {"waiting": {"reason": fault.waiting, **told}},
        "lastState": {"terminated": ended} if fault.exit_code else {},
    }

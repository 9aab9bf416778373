"""A job of several workers on Kubeflow: a TrainJob, found by a label with its name.

Kubeflow Trainer 2 has no policy for TensorFlow, so TF_CONFIG is written here: a TrainJob's workers are the pods of an
indexed job `node`, which a headless service of the TrainJob's name makes known to each other.
"""

import json
from collections.abc import Mapping
from typing import Any

from penstock.components.jobs.follow import Status
from penstock.core.errors import ServerError
from penstock.core.services.kubernetes import Kind, Server
from penstock.core.services.retries import NotFound, make_once

_TRAIN_JOB = Kind(
    group="trainer.kubeflow.org",
    version="v1alpha1",
    plural="trainjobs",
    name="TrainJobs",
    operator="Kubeflow Trainer 2",
    role="kubeflow-trainer-edit",
)
_LABEL = "penstock.dev/job"
_JOBSET = "jobset.sigs.k8s.io/jobset-name"
_INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
_PORT = 2222


class TrainJobs:
    """The TrainJobs of this pod's namespace, or that of KUBECONFIG; `job` is what a new one is made of."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self._server = Server(_TRAIN_JOB)
        self._objects = self._server.objects
        self._job = job

    def find(self, name: str) -> str | None:
        alive = [one for one in self._attempts(name) if not _condition(one, "Failed") and not _deleted(one)]
        return max((str(one["metadata"]["name"]) for one in alive), key=_attempt, default=None)

    def start(self, name: str, argument: str) -> str:
        number = max((_attempt(one["metadata"]["name"]) for one in self._attempts(name)), default=0) + 1
        body = made_of(self._job, name, number, argument)

        def make() -> str:
            operation = self._objects.create_namespaced_custom_object
            return str(self._server.request(operation, **_TRAIN_JOB.place, body=body)["metadata"]["name"])

        unknown = f"{self._server.host}: it is not known whether the TrainJob {name} was started: run the task again"
        return str(make_once(make, lambda: self.find(name), unknown))

    def status(self, job: str) -> Status:
        train_job = self._server.request(self._objects.get_namespaced_custom_object, **_TRAIN_JOB.place, name=job)
        if _condition(train_job, "Complete"):
            return Status("complete", ended=True, succeeded=True)
        failed = _condition(train_job, "Failed")
        if failed:
            return Status("failed", ended=True, error=self._why(job) or failed.get("message", ""))
        if _deleted(train_job):
            return Status("deleted", ended=True, error="somebody has deleted it")
        return Status("suspended" if _condition(train_job, "Suspended") else "running")

    def cancel(self, job: str) -> None:
        """Deletes the TrainJob, and so its pods: there is no other way to end one."""
        operation = self._objects.delete_namespaced_custom_object
        try:
            self._server.repeat(operation, **_TRAIN_JOB.place, name=job, propagation_policy="Foreground")
        except NotFound:
            return

    def _attempts(self, name: str) -> list[dict[str, Any]]:
        operation = self._objects.list_namespaced_custom_object
        listed = self._server.repeat(operation, **_TRAIN_JOB.place, label_selector=f"{_LABEL}={name}")
        return list(listed["items"])

    def _why(self, job: str) -> str:
        """Returns what Kubernetes says of the worker that failed, such as OOMKilled; "" where this account may not
        look."""
        try:
            pods = self._server.repeat(self._server.core.list_namespaced_pod, label_selector=f"{_JOBSET}={job}").items
        except ServerError:
            return ""
        for pod in pods:
            for container in pod.status.container_statuses or []:
                ended = container.state.terminated
                if ended and ended.exit_code:
                    return f"{pod.metadata.name}: {ended.reason}, exit code {ended.exit_code}"
        return ""


def made_of(job: Mapping[str, Any], name: str, attempt: int, argument: str) -> dict[str, Any]:
    """Returns the TrainJob of an attempt, with the argument of its workers' command and their TF_CONFIG.

    Kubernetes puts a pod's index into TF_CONFIG, where it names the variable of it that stands before.
    """
    complete: dict[str, Any] = json.loads(json.dumps(job))
    own = f"{name}-{attempt}"
    complete["metadata"] = {"name": own, "labels": {_LABEL: name}}
    trainer = complete["spec"]["trainer"]
    trainer["args"] = [_literal(argument)]
    addresses = [f"{own}-node-0-{number}.{own}:{_PORT}" for number in range(trainer["numNodes"])]
    task = '{"type": "worker", "index": "$(WORKER_INDEX)"}'
    trainer["env"] += [
        {"name": "WORKER_INDEX", "valueFrom": {"fieldRef": {"fieldPath": _INDEX}}},
        {"name": "TF_CONFIG", "value": f'{{"cluster": {json.dumps({"worker": addresses})}, "task": {task}}}'},
    ]
    return complete


def _literal(text: str) -> str:
    """Returns an argument that Kubernetes replaces nothing in: it reads $(NAME) as a variable, and $$ as $."""
    return text.replace("$", "$$")


def _condition(job: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
    conditions = job.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind and one["status"] == "True"), None)


def _deleted(job: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" in job["metadata"]


def _attempt(name: str) -> int:
    return int(name.rpartition("-")[2])

"""A job of several workers on Kubeflow: a TrainJob, found by a label with its name.

Kubeflow Trainer 2 has no policy for TensorFlow, so TF_CONFIG is written here: a TrainJob's workers are the pods of an
indexed job `node`, which a headless service of the TrainJob's name makes known to each other.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kubernetes
import urllib3

from penstock.components.jobs.follow import Status
from penstock.core.errors import ConfigError, ServerError
from penstock.core.services.retries import TRIES, AlreadyExists, NotFound, Unanswered, make_once, pause

_PLACE = {"group": "trainer.kubeflow.org", "version": "v1alpha1", "plural": "trainjobs"}
_LABEL = "penstock.dev/job"
_JOBSET = "jobset.sigs.k8s.io/jobset-name"
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
_PORT = 2222
_TIMEOUT = 30


class TrainJobs:
    """The TrainJobs of this pod's namespace, or that of KUBECONFIG; `job` is what a new one is made of."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        configuration = kubernetes.client.Configuration()
        config = kubernetes.config
        sign_in = config.load_incluster_config if _NAMESPACE.is_file() else config.load_kube_config
        try:
            sign_in(client_configuration=configuration)
        except kubernetes.config.ConfigException as error:
            raise ConfigError(
                f"no Kubernetes API: expected the service account of a pod, or a kubeconfig: {error}"
            ) from None
        configuration.retries = False  # what may be repeated is decided here
        client = kubernetes.client.ApiClient(configuration)
        self._host = configuration.host
        self._objects = kubernetes.client.CustomObjectsApi(client)
        self._pods = kubernetes.client.CoreV1Api(client)
        self._namespace = _namespace()
        self._job = job

    def find(self, name: str) -> str | None:
        alive = [one for one in self._attempts(name) if not _condition(one, "Failed") and not _deleted(one)]
        return max((str(one["metadata"]["name"]) for one in alive), key=_attempt, default=None)

    def start(self, name: str, argument: str) -> str:
        number = max((_attempt(one["metadata"]["name"]) for one in self._attempts(name)), default=0) + 1
        body = made_of(self._job, name, number, argument)

        def make() -> str:
            operation = self._objects.create_namespaced_custom_object
            return str(self._request(operation, **_PLACE, body=body)["metadata"]["name"])

        unknown = f"{self._host}: it is not known whether the TrainJob {name} was started: run the task again"
        return str(make_once(make, lambda: self.find(name), unknown))

    def status(self, job: str) -> Status:
        found = self._request(self._objects.get_namespaced_custom_object, **_PLACE, name=job)
        if _condition(found, "Complete"):
            return Status("complete", ended=True, succeeded=True)
        failed = _condition(found, "Failed")
        if failed:
            return Status("failed", ended=True, error=self._why(job) or failed.get("message", ""))
        if _deleted(found):
            return Status("deleted", ended=True, error="somebody has deleted it")
        return Status("suspended" if _condition(found, "Suspended") else "running")

    def cancel(self, job: str) -> None:
        """Deletes the TrainJob, and so its pods: there is no other way to end one."""
        operation = self._objects.delete_namespaced_custom_object
        try:
            self._repeat(operation, **_PLACE, name=job, propagation_policy="Foreground")
        except NotFound:
            return

    def _attempts(self, name: str) -> list[dict[str, Any]]:
        listed = self._repeat(self._objects.list_namespaced_custom_object, **_PLACE, label_selector=f"{_LABEL}={name}")
        return list(listed["items"])

    def _why(self, job: str) -> str:
        """Returns what Kubernetes says of the worker that failed, such as OOMKilled; "" where this account may not
        look."""
        try:
            pods = self._repeat(self._pods.list_namespaced_pod, label_selector=f"{_JOBSET}={job}").items
        except ServerError:
            return ""
        for pod in pods:
            for container in pod.status.container_statuses or []:
                ended = container.state.terminated
                if ended and ended.exit_code:
                    return f"{pod.metadata.name}: {ended.reason}, exit code {ended.exit_code}"
        return ""

    def _repeat(self, operation: Callable[..., Any], **options: Any) -> Any:
        for number in range(1, TRIES):
            try:
                return self._request(operation, **options)
            except Unanswered as error:
                pause(number, error)
        return self._request(operation, **options)

    def _request(self, operation: Callable[..., Any], **options: Any) -> Any:
        try:
            return operation(namespace=self._namespace, _request_timeout=_TIMEOUT, **options)
        except kubernetes.client.ApiException as error:
            raise self._refusal(error) from None
        except urllib3.exceptions.TimeoutError:
            raise Unanswered(f"{self._host} did not answer in {_TIMEOUT} s", "try again", under_way=True) from None
        except urllib3.exceptions.HTTPError as error:
            raise Unanswered(f"the connection to {self._host} failed ({error})", "try again") from None

    def _refusal(self, error: Any) -> ServerError | Unanswered:
        status, told = int(error.status or 0), _told(error.body)
        if status == 404 and "the server could not find the requested resource" in told:
            return ServerError(f"{self._host} has no TrainJobs (404): install Kubeflow Trainer 2 in the cluster")
        if status == 404:
            return NotFound(f"{self._host} does not know that (404{told})")
        if status == 409:
            return AlreadyExists(f"{self._host} has that already (409{told})")
        if status in (401, 403):
            return ServerError(
                f"{self._host} does not let this account do that ({status}{told}): bind the role kubeflow-trainer-edit "
                "to the service account of the tasks (kubeflow.service_account)"
            )
        if status == 429 or status >= 500:
            return Unanswered(f"{self._host} failed ({status}{told})", "try again later", under_way=status == 504)
        return ServerError(f"{self._host} refuses the TrainJob ({status}{told})")


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


def _namespace() -> str:
    if _NAMESPACE.is_file():
        return _NAMESPACE.read_text(encoding="utf-8").strip()
    _, active = kubernetes.config.list_kube_config_contexts()
    return str(active["context"].get("namespace", "default"))


def _told(body: Any) -> str:
    try:
        answer = json.loads(body or "")
    except ValueError:
        return f": {' '.join(str(body).split())[:240]}" if body else ""
    return f": {' '.join(str(answer.get('message', '')).split())[:240]}" if isinstance(answer, dict) else ""

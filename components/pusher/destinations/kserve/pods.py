"""What the pods of an InferenceService say: which of its versions are ready, and why one is not.

KServe's own status often says no more than that something is not ready. The account that pushes may be kept from
looking at pods and events; then nothing is said here.
"""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.components.pusher.destinations.kserve import manifest
from penstock.core.errors import ServerError

if TYPE_CHECKING:
    from penstock.core.services.kubernetes import Server

_LABEL = "serving.kserve.io/inferenceservice"
# What Kubernetes tries again and again, and what only a person can mend.
_MENDED_BY_PEOPLE = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
)
_STARTING = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True)
class Complaint:
    """Why a pod is not ready. `failed` says that waiting alone does not help."""

    text: str = ""
    failed: bool = False


def of(server: "Server", name: str) -> list[Any] | None:
    """Returns the pods of an InferenceService; None where this account may not look."""
    try:
        listed = server.repeat(server.core.list_namespaced_pod, label_selector=f"{_LABEL}={name}")
    except ServerError:
        return None
    return [pod for pod in listed.items if not pod.metadata.deletion_timestamp]


def shares(pods: list[Any]) -> dict[str, int]:
    """Returns the percentage of the ready pods that each version has, by its digest; {} if none is ready."""
    ready = Counter(_digest(pod) for pod in pods if _is_ready(pod))
    total = sum(ready.values())
    return {digest: round(100 * count / total) for digest, count in ready.items()}


def complaint(server: "Server", name: str, pods: list[Any], digest: str) -> Complaint:
    """Returns why the pods of a version are not ready, of the first that says so."""
    own = [pod for pod in pods if _digest(pod) == digest]
    for pod in own:
        said = _said(pod)
        if said.text:
            return said
    waiting = next((pod for pod in own if not _is_ready(pod)), None)
    if own and waiting is None:
        return Complaint()
    return Complaint(_last_event(server, waiting.metadata.name if waiting else name))


def _digest(pod: Any) -> str:
    return str((pod.metadata.annotations or {}).get(manifest.DIGEST, ""))


def _is_ready(pod: Any) -> bool:
    conditions = pod.status.conditions or []
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def _said(pod: Any) -> Complaint:
    for container in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
        where = f"pod {pod.metadata.name}, {container.name}"
        waiting = container.state and container.state.waiting
        ended = _ended(container)
        if waiting and waiting.reason not in _STARTING:
            told = ended or waiting.message
            text = f"{where}: {waiting.reason}" + (f": {told}" if told else "")
            return Complaint(text, waiting.reason in _MENDED_BY_PEOPLE)
        if ended and not container.ready:
            return Complaint(f"{where}: {ended}")
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            return Complaint(f"pod {pod.metadata.name}: {condition.reason}: {condition.message}")
    return Complaint()


def _ended(container: Any) -> str:
    """Returns how a container ended last: with which code, and the end of its log; "" if it did not, or well."""
    for state in (container.state, container.last_state):
        ended = state and state.terminated
        if ended and ended.exit_code:
            lines = (ended.message or "").strip().splitlines()
            return f"{ended.reason or 'it ended'}, exit code {ended.exit_code}" + (f": {lines[-1]}" if lines else "")
    return ""


def _last_event(server: "Server", name: str) -> str:
    """Returns the newest warning about a pod or an InferenceService; "" where there is none to be seen."""
    try:
        chosen = f"involvedObject.name={name},type=Warning"
        events = server.repeat(server.core.list_namespaced_event, field_selector=chosen).items
    except ServerError:
        return ""
    if not events:
        return ""
    newest = max(events, key=lambda event: str(event.last_timestamp or event.metadata.creation_timestamp or ""))
    return f"{newest.reason}: {newest.message}"

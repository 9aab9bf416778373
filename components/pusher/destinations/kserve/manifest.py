"""The InferenceService that we write: what is in it for a version of a model, and the patches that change it.

    metadata.annotations     which version its container serves, by which push, and what served before
    spec.predictor           replicas, account, logger …, and canaryTrafficPercent while a version is on trial
      containers             kserve-container: our model server; STORAGE_URI is what KServe mounts at /mnt/models

A container of our own needs nothing of the cluster but KServe. A `model` with a runtime would need a ServingRuntime,
which only an administrator may make, and its image would not be rolled back with the model.

KServe gives the annotations to the pods. So a change of one is a new revision, and only a new version changes them.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Self

from penstock.components.pusher.destinations.destination import Candidate
from penstock.components.pusher.destinations.kserve.settings import Settings
from penstock.core.files import documents

type Json = dict[str, Any]

CONTAINER = "kserve-container"  # KServe looks for it by this name
MODE = "serving.kserve.io/deploymentMode"
VERSION = "penstock.dev/model-version"
DIGEST = "penstock.dev/model-digest"
PUSH = "penstock.dev/push"
PREVIOUS = "penstock.dev/previous-version"
_OURS = (VERSION, DIGEST, PUSH, PREVIOUS)
_PREDICTOR = (
    "minReplicas",
    "maxReplicas",
    "timeout",
    "serviceAccountName",
    "imagePullSecrets",
    "nodeSelector",
    "logger",
)
_STORAGE = "STORAGE_URI"  # the variable that tells KServe what to mount
_MODELS = "/mnt/models"
_PORT = 8080


@dataclass(frozen=True)
class Version:
    """A version of a model as an InferenceService has it. `previous` is what served before it, without its own.

    `number` is "" for a model that we did not push. `revision` is Knative's name for it, as far as it is known.
    """

    number: str = ""
    digest: str = ""
    uri: str = ""
    image: str = ""
    push: str = ""
    revision: str = ""
    previous: "Version | None" = None

    @classmethod
    def of(cls, service: Json) -> Self:
        """Reads the version that is in an InferenceService's spec."""
        annotations = service["metadata"].get("annotations") or {}
        container = _container(service)
        variables = {item["name"]: item.get("value", "") for item in container.get("env") or ()}
        return cls(
            number=annotations.get(VERSION, ""),
            digest=annotations.get(DIGEST, ""),
            uri=variables.get(_STORAGE, ""),
            image=container.get("image", ""),
            push=annotations.get(PUSH, ""),
            previous=_recorded(annotations.get(PREVIOUS, "")),
        )

    def is_of(self, candidate: Candidate, uri: str, image: str) -> bool:
        """Whether this is the candidate, at this place and in this image."""
        return (self.digest, self.uri, self.image) == (candidate.digest, uri, image)


def new(settings: Settings, candidate: Candidate, uri: str, image: str) -> Json:
    """Returns an InferenceService with its first version."""
    mode = {MODE: settings.deployment_mode} if settings.deployment_mode else {}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": settings.name,
            "annotations": {**(settings.annotations or {}), **mode, **_annotations(candidate)},
        },
        "spec": {"predictor": _predictor(settings) | {"containers": [_server(settings, {}, uri, image)]}},
    }


def with_version(
    settings: Settings, candidate: Candidate, uri: str, image: str, service: Json, previous: Version | None
) -> Json:
    """Returns the patch that puts a version into an InferenceService, and leaves all that is others'."""
    before = json.dumps(_written(previous)) if previous else None
    containers = service["spec"]["predictor"]["containers"].copy()
    own = _place(containers)
    containers[own] = _server(settings, containers[own], uri, image)
    annotations = {**(settings.annotations or {}), **_annotations(candidate), PREVIOUS: before}
    return {
        "metadata": {"annotations": annotations | _mode(service)},
        "spec": {"predictor": _predictor(settings, service) | {"containers": containers}},
    }


def traffic(service: Json, percent: int | None) -> Json:
    """Returns the patch that gives the newest version a share of the requests; None for all of them."""
    mode = _mode(service)
    metadata = {"metadata": {"annotations": mode}} if mode else {}
    return metadata | {"spec": {"predictor": {"canaryTrafficPercent": percent}}}


def with_logger(settings: Settings, service: Json) -> Json | None:
    """Returns the patch that sets what is sent of requests; None where that is as configured, or nothing is."""
    wanted, there = _logger(settings, service), logger(service)
    if wanted is None or all(there.get(key) == value for key, value in wanted.items()):
        return None
    return _of_logger(service, wanted)


def restored_logger(earlier: Json, service: Json) -> Json | None:
    """Returns the patch that puts the logger of an earlier InferenceService back; None where it is there."""
    was, now = logger(earlier), logger(service)
    return None if was == now else _of_logger(service, _replaced(now, was))


def logger(service: Json) -> Json:
    """Returns what an InferenceService says of the logger."""
    return service["spec"]["predictor"].get("logger") or {}


def share(service: Json) -> int | None:
    """Returns the share of the requests that the newest version is to have; None for all of them."""
    percent: int | None = service["spec"]["predictor"].get("canaryTrafficPercent")
    return None if percent == 100 else percent


def with_share(change: Json, percent: int | None) -> Json:
    """Returns a patch of a version that gives it a share of the requests as well."""
    spec = change["spec"]
    return change | {"spec": spec | {"predictor": spec["predictor"] | {"canaryTrafficPercent": percent}}}


def restored(earlier: Json, service: Json) -> Json:
    """Returns the patch that puts the version of an earlier InferenceService back, and leaves all that is others'."""
    was, now = earlier["spec"]["predictor"], service["spec"]["predictor"]
    annotations = earlier["metadata"].get("annotations") or {}
    containers = now["containers"].copy()
    containers[_place(containers)] = was["containers"][_place(was["containers"])]
    predictor = {key: was.get(key) for key in _PREDICTOR} | {"logger": _replaced(logger(service), logger(earlier))}
    return {
        "metadata": {"annotations": {key: annotations.get(key) for key in _OURS} | _mode(service)},
        "spec": {"predictor": predictor | {"containers": containers}},
    }


def _annotations(candidate: Candidate) -> dict[str, str]:
    return {VERSION: candidate.version, DIGEST: candidate.digest, PUSH: candidate.push}


def _mode(service: Json) -> dict[str, str]:
    """Returns the mode's annotation as KServe calls it now, where it has another name: else KServe refuses changes."""
    written = (service["metadata"].get("annotations") or {}).get(MODE)
    running = (service.get("status") or {}).get("deploymentMode")
    return {MODE: running} if written and running and written != running else {}


def _predictor(settings: Settings, service: Json | None = None) -> Json:
    values: tuple[Any, ...] = (
        settings.min_replicas,
        settings.max_replicas,
        settings.request_timeout,
        settings.service_account or None,
        [{"name": name} for name in settings.image_pull_secrets] or None,
        dict(settings.node_selector or {}) or None,
        _logger(settings, service),
    )
    return {key: value for key, value in zip(_PREDICTOR, values, strict=True) if value is not None}


def _logger(settings: Settings, service: Json | None) -> Json | None:
    """Returns the logger as configured; it sends the annotation that says which version answers along."""
    if not settings.logger:
        return None
    others = (logger(service).get("metadataAnnotations") or []) if service else []
    return {**settings.logger, "metadataAnnotations": [*others, *({VERSION} - {*others})]}


def _replaced(now: Json, value: Json) -> Json | None:
    """Returns what a merge patch says of an object that is to be another one."""
    return dict.fromkeys(now) | value if value else None


def _of_logger(service: Json, value: Json | None) -> Json:
    mode = _mode(service)
    metadata = {"metadata": {"annotations": mode}} if mode else {}
    return metadata | {"spec": {"predictor": {"logger": value}}}


def _server(settings: Settings, container: Json, uri: str, image: str) -> Json:
    """Returns a container with our server in it; what else it has stays."""
    others = [item for item in container.get("env") or () if item["name"] != _STORAGE]
    probe = {"httpGet": {"path": "/v2/health/ready", "port": _PORT}, "periodSeconds": 5, "failureThreshold": 3}
    made = container | {
        "name": CONTAINER,
        "image": image,
        "command": ["python3", "-m", "penstock.components.model_server"],
        "args": [json.dumps({"models": [{"name": settings.name, "path": _MODELS}], "host": "0.0.0.0", "port": _PORT})],
        "env": [*others, {"name": _STORAGE, "value": uri}],
        "ports": [{"containerPort": _PORT, "protocol": "TCP"}],
        "readinessProbe": probe,
        # The end of its log is then what KServe and Kubernetes tell of a server that ended.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    resources = _resources(settings)
    return made | ({"resources": resources} if resources else {})


def _resources(settings: Settings) -> Json:
    asked = settings.resources
    amounts = {"cpu": asked.cpu, "memory": asked.memory, "nvidia.com/gpu": str(asked.gpus) if asked.gpus else ""}
    given = {name: amount for name, amount in amounts.items() if amount}
    return {"requests": given, "limits": dict(given)} if given else {}


def _place(containers: list[Json]) -> int:
    """Returns which of the containers is the server's."""
    return next((at for at, one in enumerate(containers) if one.get("name") == CONTAINER), 0)


def _container(service: Json) -> Json:
    containers = service["spec"]["predictor"].get("containers") or [{}]
    container: Json = containers[_place(containers)]
    return container


_WRITTEN = ("number", "digest", "uri", "image", "push", "revision")


def _written(version: Version) -> Json:
    """Returns a version as an annotation holds it, with what served before it, but not before that."""
    before = version.previous
    written = {name: getattr(version, name) for name in _WRITTEN if getattr(version, name)}
    return written | ({"previous": _written(replace(before, previous=None))} if before else {})


def _recorded(text: str) -> Version | None:
    """Returns the version that an annotation holds; None where anybody has made something else of it."""
    try:
        written = documents.parse_json(text)
    except ValueError:
        return None
    return _read(written) if isinstance(written, dict) else None


def _read(written: Json) -> Version:
    before = written.get("previous")
    fields: dict[str, Any] = {name: str(written.get(name, "")) for name in _WRITTEN}
    return Version(**fields, previous=_read(before) if isinstance(before, dict) else None)

"""What push_destination says of an InferenceService."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from penstock.components.pusher.destinations.destination import COMMON_KEYS, Rollout
from penstock.core.arguments import check_object, check_string, check_strings, check_whole_number
from penstock.core.errors import ConfigError
from penstock.core.text import printable

EXAMPLE = '{"name": "taxi", "namespace": "models", "storage": "s3://<bucket>/taxi"}'
# KServe's names of its modes, also those that it had before 0.16, by what they are called now.
MODES = {"Knative": "Knative", "Serverless": "Knative", "Standard": "Standard", "RawDeployment": "Standard"}
LOGGED = ("all", "request", "response")
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST_NAME = 50  # Knative's names of a revision add to it, and a host name's part has 63 characters
_PVC = "pvc://"
_KEYS = (
    "name",
    "namespace",
    "deployment_mode",
    "claim",
    "claim_mount",
    "service_account",
    "image_pull_secrets",
    "min_replicas",
    "max_replicas",
    "resources",
    "node_selector",
    "request_timeout",
    "logger",
    "annotations",
)


@dataclass(frozen=True)
class Resources:
    """What a pod may use: Kubernetes' quantities, and how many GPUs."""

    cpu: str = ""
    memory: str = ""
    gpus: int = 0


@dataclass(frozen=True)
class Settings:
    """An InferenceService. What is "", None or empty is left as it is, or as KServe has it by default.

    `claim` is the PersistentVolumeClaim that `Rollout.storage` lies on, which the Pusher has at `claim_mount`.
    `request_timeout` is in seconds, `logger` by KServe's own names.
    """

    name: str
    namespace: str = ""
    deployment_mode: str = ""
    claim: str = ""
    claim_mount: str = ""
    service_account: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    min_replicas: int | None = None
    max_replicas: int | None = None
    resources: Resources = Resources()
    node_selector: Mapping[str, str] | None = None
    request_timeout: int | None = None
    logger: Mapping[str, Any] | None = None
    annotations: Mapping[str, str] | None = None

    @staticmethod
    def values(name: str, settings: object) -> dict[str, Any]:
        """Returns the settings by their keys, with a storage on a claim as the folder that the Pusher writes to."""
        values = check_object(name, settings, (*COMMON_KEYS, *_KEYS), EXAMPLE)
        return _on_claim(name, {key: value for key, value in values.items() if value is not None})

    @classmethod
    def of(cls, name: str, values: Mapping[str, Any], rollout: Rollout) -> Self:
        """Reads the keys that are KServe's own; raises a ConfigError for a wrong value."""
        own = {key: values[key] for key in _KEYS if key in values}
        for key in ("namespace", "claim", "claim_mount", "service_account"):
            if key in own:
                check_string(f"{name}.{key}", own[key], "a name" if key != "claim_mount" else "a folder")
        for key in ("min_replicas", "max_replicas", "request_timeout"):
            if key in own:
                own[key] = check_whole_number(f"{name}.{key}", own[key], 1 if key != "min_replicas" else 0)
        for key in ("node_selector", "annotations"):
            if key in own:
                own[key] = _strings(f"{name}.{key}", own[key])
        own["name"] = _service_name(f"{name}.name", values.get("name"))
        own["image_pull_secrets"] = tuple(
            check_strings(f"{name}.image_pull_secrets", values.get("image_pull_secrets", []))
        )
        own["resources"] = _resources(f"{name}.resources", values.get("resources", {}))
        if "logger" in own:
            own["logger"] = _logger(f"{name}.logger", own["logger"])
        made = cls(**own)
        made.check(name, rollout)
        return made

    def check(self, name: str, rollout: Rollout) -> None:
        """Raises a ConfigError for settings that do not go together."""
        if self.deployment_mode and self.deployment_mode not in MODES:
            received = printable.value(self.deployment_mode)
            raise ConfigError(f"{name}.deployment_mode: expected one of {', '.join(MODES)}, received {received}")
        if rollout.canary is not None and self.mode == "Standard":
            raise ConfigError(f"{name}.canary: {no_canary(self.deployment_mode)}")
        if self.min_replicas is not None and self.max_replicas and self.min_replicas > self.max_replicas:
            raise ConfigError(
                f"{name}.max_replicas: expected min_replicas or more, received {self.max_replicas} for "
                f"{self.min_replicas}"
            )
        self.storage_uri(name, f"{rollout.storage}/0")

    @property
    def mode(self) -> str:
        """The mode as KServe calls it now; "" for the cluster's own."""
        return MODES.get(self.deployment_mode, "")

    def storage_uri(self, name: str, uri: str) -> str:
        """Returns a version's URI as KServe's storage initializer takes it."""
        if uri.startswith(_PVC):
            return uri
        if self.claim:
            below = uri.removeprefix("file://").removeprefix(self.claim_mount.rstrip("/"))
            if below == uri or not below.startswith("/"):
                raise ConfigError(f"{name}.storage: expected a folder below claim_mount, {self.claim_mount}")
            return f"{_PVC}{self.claim}{below}"
        scheme, separator, rest = uri.partition("://")
        if separator and scheme in ("s3", "minio", "gs"):
            return f"{'s3' if scheme == 'minio' else scheme}://{rest}"
        raise ConfigError(
            f"{name}.storage: expected a bucket that the InferenceService's pods can read, s3:// or gs://, or a claim, "
            f"pvc://CLAIM/FOLDER with claim_mount, received {printable.value(uri.rpartition('/')[0])}"
        )


def no_canary(mode: str) -> str:
    """Says that there is no canary in a mode."""
    return (
        f"in KServe's mode {mode} a new version gets all requests at once: expected no canary, or deployment_mode "
        "Knative (before KServe 0.16 Serverless) and a cluster with Knative"
    )


def _on_claim(name: str, values: dict[str, Any]) -> dict[str, Any]:
    storage = values.get("storage")
    if isinstance(storage, str) and storage.startswith(_PVC):
        claim, _, folder = storage.removeprefix(_PVC).strip("/").partition("/")
        if not claim or not folder or not values.get("claim_mount"):
            raise ConfigError(
                f"{name}.storage: expected pvc://CLAIM/FOLDER with claim_mount, the folder at which the Pusher has the "
                f"claim, received {printable.value(storage)}"
            )
        mount = str(values["claim_mount"]).rstrip("/")
        return values | {"storage": f"{mount}/{folder}", "claim": claim}
    if bool(values.get("claim")) != bool(values.get("claim_mount")):
        raise ConfigError(f"{name}: expected both claim and claim_mount, or neither")
    return values


def _service_name(name: str, value: object) -> str:
    text = check_string(name, value, "the InferenceService's name")
    if not _NAME.fullmatch(text) or len(text) > _LONGEST_NAME:
        raise ConfigError(
            f"{name}: expected a small letter, then small letters, digits and dashes, {_LONGEST_NAME} at most, "
            f"received {printable.value(text)}"
        )
    return text


def _strings(name: str, value: object) -> dict[str, str]:
    items = check_object(name, value)
    wrong = next((key for key, item in items.items() if not isinstance(item, str)), None)
    if wrong is not None:
        raise ConfigError(f"{name}.{wrong}: expected text, received {printable.value(items[wrong])}")
    return items


def _resources(name: str, value: object) -> Resources:
    items = check_object(name, value, ("cpu", "memory", "gpus"), '{"cpu": 2, "memory": "4Gi", "gpus": 1}')
    cpu = items.get("cpu")
    if cpu is not None and (isinstance(cpu, bool) or not isinstance(cpu, str | int | float)):
        raise ConfigError(f"{name}.cpu: expected a number of cores, received {printable.value(cpu)}")
    memory = items.get("memory")
    return Resources(
        cpu="" if cpu is None else f"{cpu:g}" if isinstance(cpu, float) else str(cpu),
        memory="" if memory is None else check_string(f"{name}.memory", memory, "memory, such as 4Gi"),
        gpus=check_whole_number(f"{name}.gpus", items.get("gpus")),
    )


def _logger(name: str, value: object) -> dict[str, Any]:
    logger = check_object(name, value, ("mode", "url", "metadata_headers"), '{"mode": "all", "url": "http://<host>"}')
    mode = logger.get("mode", LOGGED[0])
    if mode not in LOGGED:
        raise ConfigError(f"{name}.mode: expected one of {', '.join(LOGGED)}, received {printable.value(mode)}")
    url = check_string(f"{name}.url", logger.get("url"), "where the events are sent to")
    headers = check_strings(f"{name}.metadata_headers", logger.get("metadata_headers", []))
    return {"mode": mode, "url": url} | ({"metadataHeaders": headers} if headers else {})

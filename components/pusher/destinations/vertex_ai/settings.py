"""What a push to Vertex AI is told: the settings below `vertex_ai` in push_destination, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from penstock.components.pusher.destinations.destination import COMMON_KEYS, Rollout
from penstock.components.pusher.destinations.vertex_ai.explanation import Explanation
from penstock.core.arguments import check_object, check_string, check_strings, check_whole_number
from penstock.core.errors import ConfigError
from penstock.core.services.vertex import ACCELERATORS, Connection
from penstock.core.services.vertex_resources import check_labels, present_credentials
from penstock.core.suggestions import did_you_mean

EXAMPLE = '{"storage": "gs://<bucket>/<folder>", "endpoint": "<name>", "image": "<image of the model server>"}'
_CONNECTION_KEYS = ("project", "location", "api_endpoint", "credentials_file", "request_timeout")
_OWN_KEYS = (
    "endpoint",
    "model",
    "aliases",
    "labels",
    "machine_type",
    "accelerator",
    "min_replica_count",
    "max_replica_count",
    "service_account",
    "network",
    "dedicated_endpoint",
    "encryption_spec_key_name",
    "explanation",
    "keep_previous",
)
_TEXTS = ("machine_type", "service_account", "network", "encryption_spec_key_name")
_ALIAS = re.compile(r"^[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]$")
_PREBUILT = re.compile(r"(docker\.pkg\.dev/vertex-ai/|gcr\.io/cloud-aiplatform/)prediction/")
_SERVING_IMAGE = re.compile(r"(^|/)penstock-serving(:[^/]*)?$")


@dataclass(frozen=True)
class Settings:
    """The settings of an endpoint of Vertex AI, a model of its registry, and the machines that serve it.

    `endpoint` and `model` are display names, ids of digits, or whole names (projects/...). `accelerator_type` is Vertex
    AI's own name, "" for none. With `keep_previous` the version that served before stays deployed.
    """

    rollout: Rollout
    connection: Connection
    endpoint: str
    model: str
    machine_type: str = "n1-standard-2"
    accelerator_type: str = ""
    accelerator_count: int = 0
    min_replica_count: int = 1
    max_replica_count: int = 1
    service_account: str = ""
    network: str = ""
    encryption_spec_key_name: str = ""
    explanation: Explanation | None = None
    aliases: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    dedicated_endpoint: bool = False
    keep_previous: bool = True

    @classmethod
    def of(cls, name: str, settings: object) -> Self:
        """Reads the settings, which messages call `name`. Raises a ConfigError for what does not fit."""
        keys = (*COMMON_KEYS, *_CONNECTION_KEYS, *_OWN_KEYS)
        values = {key: value for key, value in check_object(name, settings, keys, EXAMPLE).items() if value is not None}
        rollout = Rollout.of(name, values)
        if not rollout.storage.startswith("gs://"):
            raise ConfigError(f"{name}.storage: Vertex AI reads models from gs://BUCKET/FOLDER, not {rollout.storage}")
        endpoint = check_string(f"{name}.endpoint", values.get("endpoint"), "an endpoint's name")
        texts = {key: check_string(f"{name}.{key}", values[key], "a text") for key in _TEXTS if key in values}
        least = check_whole_number(f"{name}.min_replica_count", values.get("min_replica_count", 1), 1, "replicas")
        accelerator_type, accelerator_count = _accelerator(name, values)
        read = cls(
            rollout=rollout,
            connection=_connection(name, values),
            endpoint=endpoint,
            model=check_string(f"{name}.model", values.get("model", endpoint), "a model's name"),
            min_replica_count=least,
            max_replica_count=check_whole_number(
                f"{name}.max_replica_count", values.get("max_replica_count", least), least, "replicas"
            ),
            aliases=_aliases(name, values),
            labels=check_labels(f"{name}.labels", values.get("labels", {})),
            dedicated_endpoint=_flag(name, values, "dedicated_endpoint", default=False),
            keep_previous=_flag(name, values, "keep_previous", default=True),
            service_account=texts.get("service_account", ""),
            network=texts.get("network", ""),
            encryption_spec_key_name=texts.get("encryption_spec_key_name", ""),
            explanation=Explanation.of(f"{name}.explanation", values["explanation"])
            if "explanation" in values
            else None,
            machine_type=texts.get("machine_type", cls.machine_type),
            accelerator_type=accelerator_type,
            accelerator_count=accelerator_count,
        )
        _check_image(name, read)
        if read.network and rollout.canary:
            raise ConfigError(
                f"{name}.canary: an endpoint in a network has one model at most, so there can be no canary: leave out "
                "canary, or network"
            )
        return read


def _connection(name: str, values: Mapping[str, Any]) -> Connection:
    texts = ("project", "location", "api_endpoint", "credentials_file")
    read = {key: check_string(f"{name}.{key}", values[key], "a text") for key in texts if key in values}
    return Connection(
        project=read.get("project", ""),
        location=read.get("location", "us-central1"),
        timeout=check_whole_number(f"{name}.request_timeout", values.get("request_timeout", 60), 1, "seconds"),
        api_endpoint=read.get("api_endpoint"),
        credentials_file=present_credentials(name, read.get("credentials_file")),
    )


def _aliases(name: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    aliases = check_strings(f"{name}.aliases", values.get("aliases", []))
    for alias in aliases:
        if not _ALIAS.match(alias):
            raise ConfigError(
                f"{name}.aliases: expected letters, digits and dashes, a small letter first, received {alias!r}"
            )
    return tuple(aliases)


def _flag(name: str, values: Mapping[str, Any], key: str, default: bool) -> bool:
    value = values.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{name}.{key}: expected true or false, received {value!r}")
    return value


def _accelerator(name: str, values: Mapping[str, Any]) -> tuple[str, int]:
    """Returns Vertex AI's name of the GPU, and how many; its own name is as good as the model's, L4."""
    if "accelerator" not in values:
        return "", 0
    accelerator = check_object(f"{name}.accelerator", values["accelerator"], ("type", "count"), '{"type": "L4"}')
    kind = check_string(f"{name}.accelerator.type", accelerator.get("type"), "a GPU's name, such as L4")
    if kind not in ACCELERATORS and kind not in ACCELERATORS.values():
        raise ConfigError(f"{name}.accelerator.type: no GPU {kind!r}; {did_you_mean(kind, ACCELERATORS)}")
    count = check_whole_number(f"{name}.accelerator.count", accelerator.get("count", 1), 1, "GPUs")
    return ACCELERATORS.get(kind, kind), count


def _check_image(name: str, settings: Settings) -> None:
    image = settings.rollout.image
    host = image.partition("/")[0]
    if "/" not in image or not ("." in host or ":" in host):
        said = f"{image} has no registry" if image else "there is none"
        raise ConfigError(
            f"{name}.image: {said}, and Vertex AI pulls the model server's image from Artifact Registry: build it "
            "(python3 image.py --target serving), push it there and name it here"
        )
    if _PREBUILT.search(image):
        raise ConfigError(
            f"{name}.image: {image} is one of Google's own, which end at TensorFlow 2.15 and cannot load this model: "
            "expected penstock-serving, pushed to Artifact Registry"
        )
    if settings.accelerator_type and _SERVING_IMAGE.search(image.partition("@")[0]):
        raise ConfigError(
            f"{name}.accelerator: the image penstock-serving has TensorFlow for processors, which leaves a GPU idle: "
            "leave out accelerator, or name an image with TensorFlow for CUDA that runs the same server"
        )

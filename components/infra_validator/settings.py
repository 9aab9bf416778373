"""What InfraValidator is told: TFX's ServingSpec, ValidationSpec and RequestSpec as JSON, and what is our own."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from penstock.core.arguments import (
    check_list,
    check_object,
    check_string,
    check_strings,
    check_whole_number,
    parse_object,
)
from penstock.core.credentials import masks
from penstock.core.errors import ConfigError
from penstock.core.text import printable

MODEL_NAME = "infra-validation-model"  # TFX's default
_TRIES = 5  # TFX's defaults
_LOADING_SECONDS = 300
_DOCKER_KEYS = ("client_base_url", "client_api_version", "client_timeout_seconds", "host_ip_address")
_KUBERNETES_KEYS = ("service_account_name", "active_deadline_seconds", "serving_pod_overrides")
_SERVING_TAG = "serve"
_MODEL_PATH = re.compile(r"(.*/(v1|v2)/models/[^/]+(?:/versions/\d+)?)/?")
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([EPTGMK])?(i)?", re.IGNORECASE)
_UNITS = ("", "K", "M", "G", "T", "P", "E")


@dataclass(frozen=True)
class Requests:
    """Which requests the server gets. No `signatures` stand for serving_default; no `split` for the first there is."""

    signatures: tuple[str, ...] = ()
    split: str = ""
    number: int = 1
    make_warmup: bool = False


@dataclass(frozen=True)
class Budgets:
    """What the server may need at most; None where it may need anything. `memory` is in bytes."""

    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    memory: float | None = None
    cold_start_seconds: float | None = None


@dataclass(frozen=True)
class Url:
    """Where a server has the model. `path` ends in the model's name or version.

    `protocol` is v1, TensorFlow Serving's REST and KServe's, or v2, the Open Inference Protocol.
    """

    host: str
    port: int
    path: str
    protocol: str = "v1"
    tls: bool = False

    def __str__(self) -> str:
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}{self.path}"


@dataclass(frozen=True)
class Settings:
    """Everything that InfraValidator is told but for the artifacts.

    `requests` is None if the model is only to be loaded, and `url` if the server is to be started, with these
    `variables` in its environment. `notes` are sentences about what is done otherwise than TFX would.
    """

    model_name: str = MODEL_NAME
    max_loading_seconds: int = _LOADING_SECONDS
    tries: int = _TRIES
    requests: Requests | None = None
    budgets: Budgets = Budgets()
    url: Url | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read(
    serving_spec: str = "", validation_spec: str = "", request_spec: str = "", budgets: str = "", server_url: str = ""
) -> Settings:
    """Reads the component's parameters; a ConfigError names the key whose value does not fit."""
    model_name, variables, notes = _serving(serving_spec)
    validation = parse_object("validation_spec", validation_spec, ("max_loading_time_seconds", "num_tries"))
    seconds, tries = (
        check_whole_number(f"validation_spec.{key}", validation.get(key)) or default
        for key, default in (("max_loading_time_seconds", _LOADING_SECONDS), ("num_tries", _TRIES))
    )
    limits, url = _budgets(budgets), _url(server_url) if server_url else None
    if url and (limits.memory or limits.cold_start_seconds):
        key = "memory" if limits.memory else "cold_start_seconds"
        raise ConfigError(
            f"budgets.{key}: expected only latencies with a server_url: what a server that runs already needs is not "
            "measured"
        )
    requests = _requests(request_spec) if request_spec.strip() else None
    if requests is None and (limits.latency_p50_ms or limits.latency_p95_ms):
        raise ConfigError("budgets: expected examples and a request_spec with a latency: nothing is asked without them")
    return Settings(model_name, seconds, tries, requests, limits, url, variables, notes)


def _serving(text: str) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """Reads a ServingSpec: the model's name, the server's environment, and what of it is done otherwise."""
    name = "serving_spec"
    spec = parse_object(name, text, ("tensorflow_serving", "local_docker", "kubernetes", "model_name"))
    platforms = [key for key in ("local_docker", "kubernetes") if spec.get(key) is not None]
    if len(platforms) > 1:
        raise ConfigError(f"{name}: expected one platform, received {' and '.join(platforms)}")
    model_name = spec.get("model_name") or MODEL_NAME
    check_string(f"{name}.model_name", model_name, "a name")
    if not set(model_name).isdisjoint("/:") or not model_name.isprintable():  # it stands in URLs
        raise ConfigError(f"{name}.model_name: expected a name without / and :, received {printable.value(model_name)}")
    notes: list[str] = []
    variables: dict[str, str] = {}
    images = _images(f"{name}.tensorflow_serving", spec["tensorflow_serving"]) if "tensorflow_serving" in spec else []
    if "local_docker" in spec:
        check_object(f"{name}.local_docker", spec["local_docker"], _DOCKER_KEYS)
    if "kubernetes" in spec:
        variables, ignored = _kubernetes(f"{name}.kubernetes", spec["kubernetes"])
        notes += ignored
    if images or platforms:
        instead = " and ".join([*images, *platforms])
        notes.insert(
            0,
            f"{name}: Penstock's model server is tried in place of {instead}: tasks start no containers; server_url "
            "checks a server of yours",
        )
    return model_name, variables, tuple(notes)


def _images(name: str, value: Any) -> list[str]:
    """Returns the images of TensorFlow Serving that a spec names."""
    spec = check_object(name, value, ("image_name", "tags", "digests"), '{"tags": ["2.19.1"]}')
    image = check_string(f"{name}.image_name", spec.get("image_name") or "tensorflow/serving", "an image's name")
    tags = check_strings(f"{name}.tags", spec.get("tags", []), "tags")
    digests = check_strings(f"{name}.digests", spec.get("digests", []), "digests")
    return [f"{image}:{tag}" for tag in tags] + [f"{image}@{digest}" for digest in digests] or [image]


def _kubernetes(name: str, value: Any) -> tuple[dict[str, str], list[str]]:
    """Returns the plain variables that a KubernetesConfig gives the server's pod, and a note on what else it says."""
    spec = check_object(name, value, _KUBERNETES_KEYS)
    overrides = check_object(
        f"{name}.serving_pod_overrides", spec.get("serving_pod_overrides") or {}, ("annotations", "env", "resources")
    )
    variables, ignored = {}, [key for key in (*spec, *overrides) if key not in ("serving_pod_overrides", "env")]
    for index, entry in enumerate(check_list(f"{name}.serving_pod_overrides.env", overrides.get("env") or [])):
        place = f"{name}.serving_pod_overrides.env[{index}]"
        variable = check_object(place, entry, ("name", "value", "value_from"))
        key = check_string(f"{place}.name", variable.get("name"), "a variable's name")
        if variable.get("value_from"):
            ignored.append(f"the variable {key} of a secret")
        else:
            variables[key] = str(variable.get("value", ""))
    if not ignored:
        return variables, []
    advice = "resources and secrets of the task itself are set in its pipeline"
    return variables, [f"{name}: {', '.join(ignored)}: not used, since the server runs within the task; {advice}"]


def _requests(text: str) -> Requests:
    name = "request_spec"
    spec = parse_object(name, text, ("tensorflow_serving", "split_name", "num_examples", "make_warmup"))
    serving = check_object(
        f"{name}.tensorflow_serving", spec.get("tensorflow_serving") or {}, ("tag_set", "signature_names")
    )
    tags = check_strings(f"{name}.tensorflow_serving.tag_set", serving.get("tag_set", []), "tags")
    if tags not in ([], [_SERVING_TAG]):
        raise ConfigError(
            f"{name}.tensorflow_serving.tag_set: expected {_SERVING_TAG!r}, the tag of what is served, received "
            f"{printable.value(tags)}"
        )
    signatures = check_strings(f"{name}.tensorflow_serving.signature_names", serving.get("signature_names", []))
    make_warmup = spec.get("make_warmup", False)
    if not isinstance(make_warmup, bool):
        raise ConfigError(f"{name}.make_warmup: expected true or false, received {printable.value(make_warmup)}")
    split = spec.get("split_name") or ""
    if split:
        check_string(f"{name}.split_name", split, "a split's name")
    number = check_whole_number(f"{name}.num_examples", spec.get("num_examples"), of="examples") or Requests.number
    return Requests(tuple(signatures), split, number, make_warmup)


def _budgets(text: str) -> Budgets:
    keys = tuple(Budgets.__dataclass_fields__)
    values = parse_object("budgets", text, keys, '{"latency_p95_ms": 50, "memory": "2Gi"}')
    return Budgets(**{key: _limit(f"budgets.{key}", key, value) for key, value in values.items() if value is not None})


def _limit(name: str, key: str, value: Any) -> float:
    if key == "memory" and isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if match is None:
            raise ConfigError(f"{name}: expected bytes, such as 2Gi or 512M, received {printable.value(value)}")
        value = float(match[1]) * (1024 if match[3] else 1000) ** _UNITS.index((match[2] or "").upper())
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ConfigError(f"{name}: expected a number greater than 0, received {printable.value(value)}")
    return float(value)


def _url(text: str) -> Url:
    try:
        parts = urlsplit(text)
        host, port, path = parts.hostname, parts.port, _MODEL_PATH.fullmatch(parts.path)
    except ValueError:  # a port that is no number
        host, port, path = None, None, None
    if host is None or path is None or parts.scheme not in ("http", "https") or parts.query or parts.username:
        raise ConfigError(
            "server_url: expected the model's URL, http://host:8501/v1/models/NAME (TensorFlow Serving's REST, KServe "
            "V1) or http://host:8080/v2/models/NAME (Open Inference Protocol), received "
            f"{printable.value(masks.masked(text))}"
        )
    tls = parts.scheme == "https"
    return Url(host, port or (443 if tls else 80), path[1], path[2], tls)

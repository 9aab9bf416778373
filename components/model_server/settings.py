"""Everything that can be set: what is served, how, and the file that lists several models."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from penstock.components.model_server.operation import settings_file
from penstock.components.model_server.operation.settings import Operation
from penstock.core.arguments import check_list, check_object, check_string, check_whole_number, parse_object
from penstock.core.errors import ConfigError
from penstock.core.files import documents, yaml_documents
from penstock.core.text import printable

DEFAULT_PORT = 8501  # TensorFlow Serving's, for REST
DEFAULT_GRPC_PORT = 8500  # and for gRPC
_EXAMPLE = "{name: taxi, path: /models/taxi}"


@dataclass(frozen=True)
class Versions:
    """Which of the versions that there are to serve: the newest ones, all, or those `pinned`."""

    latest: int = 1
    all: bool = False
    pinned: frozenset[int] = frozenset()

    def chosen(self, existing: Collection[int]) -> set[int]:
        """Returns the versions to serve."""
        if self.all:
            return set(existing)
        if self.pinned:
            return set(existing) & self.pinned
        return set(sorted(existing)[-self.latest :])


@dataclass(frozen=True)
class ModelSettings:
    """A model: its name, where its versions are (a folder, or a URI in an object store), and which to serve.

    A version that a label points at is served whatever `versions` says.
    """

    name: str
    path: str
    versions: Versions = Versions()
    labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Batching:
    """How requests are computed together.

    A request never waits for others to come: those that arrive while TensorFlow computes are its next batch.
    """

    most_rows: int = 128  # of a batch; a request with more is computed alone
    most_waiting: int = 2048  # requests, before others are refused
    parallel: int = 1  # batches at once
    together: bool = True  # whether requests are computed together at all


@dataclass(frozen=True)
class ServerSettings:
    """A server: its models, where it listens, and its limits."""

    models: tuple[ModelSettings, ...]
    models_file: Path | None = None  # watched, if the models are from a file
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT  # 0 takes a free one
    grpc: bool = False  # whether gRPC is served as well
    grpc_port: int = DEFAULT_GRPC_PORT  # likewise
    batching: Batching = Batching()
    timeout: float = 30.0  # seconds until an answer is due
    poll: float = 1.0  # seconds between two looks at the folders of models; object stores are asked less often
    operation: Operation = field(default_factory=Operation)


def parse(text: str) -> ServerSettings:
    """Returns the settings in a JSON object, whose keys are those of ServerSettings; a ConfigError if they do not fit.

    Models are written as in a models file, which `models_file` may name instead.
    """
    values = parse_object("settings", text, [of.name for of in fields(ServerSettings)], f'{{"models": [{_EXAMPLE}]}}')
    file = values.pop("models_file", None)
    if file is not None:
        path = Path(check_string("models_file", file, "a file"))
        settings = ServerSettings(read_models(path), path)
        values.pop("models", None)
    else:
        settings = ServerSettings(_models("settings", values.pop("models", None)))
    if "batching" in values:
        batching = check_object("batching", values.pop("batching"), [of.name for of in fields(Batching)])
        settings = replace(settings, batching=_filled("batching.", Batching(), batching))
    if "operation" in values:
        operation = settings_file.of_object("operation", values.pop("operation"))
        settings = replace(settings, operation=operation)
    return _filled("", settings, values)


def _filled[Settings: "ServerSettings | Batching"](
    prefix: str, defaults: Settings, values: Mapping[str, Any]
) -> Settings:
    """Returns the defaults with these values in their place, each of the type of its default."""
    return replace(
        defaults, **{name: _like(f"{prefix}{name}", getattr(defaults, name), value) for name, value in values.items()}
    )


def _like(name: str, default: Any, value: Any) -> Any:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{name}: expected true or false, received {printable.value(value)}")
        return value
    if isinstance(default, int):
        return check_whole_number(name, value)
    if isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ConfigError(f"{name}: expected a number of seconds above 0, received {printable.value(value)}")
        return float(value)
    return check_string(name, value, "a text")


def read_models(path: Path) -> tuple[ModelSettings, ...]:
    """Returns the models that a YAML file lists; a ConfigError if it does not fit.

    models:
      - name: taxi
        path: /models/taxi          # a folder, gs:// or s3://
        versions: {latest: 2}       # or all, or numbers: [3, 4]; the newest one by default
        labels: {stable: 3}
    """
    try:
        document = yaml_documents.parse(documents.read_text(path), str(path))
    except documents.DocumentError as error:
        raise ConfigError(str(error)) from None
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist: expected a YAML file that lists models") from None
    content = check_object(str(path), document.value, ("models",), f"{{models: [{_EXAMPLE}]}}")
    return _models(str(path), content.get("models"))


def _models(where: str, items: Any) -> tuple[ModelSettings, ...]:
    listed = check_list(f"{where}: models", items)
    models = tuple(_model(f"{where}: models[{index}]", item) for index, item in enumerate(listed))
    names = [model.name for model in models]
    if not names or len({*names}) < len(names):
        raise ConfigError(f"{where}: models: expected at least one, each with a name of its own, received {names}")
    return models


def _model(where: str, item: Any) -> ModelSettings:
    values = check_object(where, item, ("name", "path", "versions", "labels"), _EXAMPLE)
    name = check_string(f"{where}.name", values.get("name"), "a name")
    if not set(name).isdisjoint("/:"):
        raise ConfigError(f"{where}.name: expected a name without / and :, which stands in URLs, received {name!r}")
    path = check_string(f"{where}.path", values.get("path"), "a folder, or gs:// or s3://")
    labels = {
        label: check_whole_number(f"{where}.labels.{label}", version)
        for label, version in check_object(f"{where}.labels", values.get("labels") or {}).items()
    }
    return ModelSettings(name, path, _versions(f"{where}.versions", values.get("versions")), labels)


def _versions(where: str, value: Any) -> Versions:
    if value is None:
        return Versions()
    if value == "all":
        return Versions(all=True)
    if isinstance(value, dict):
        latest = check_object(where, value, ("latest",), "{latest: 2}").get("latest")
        return Versions(latest=check_whole_number(f"{where}.latest", latest, 1))
    if isinstance(value, int) or (isinstance(value, list) and value):
        numbers = value if isinstance(value, list) else [value]
        return Versions(pinned=frozenset(check_whole_number(where, number) for number in numbers))
    raise ConfigError(
        f"{where}: expected all, {{latest: 2}} or numbers such as [3, 4], received {printable.value(value)}"
    )

"""`penstock serve`: which model is to be served, and where, by the command line or by a container's contract.

A container is told by its environment. Vertex AI names the model's bucket (AIP_STORAGE_URI) and the port
(AIP_HTTP_PORT); SageMaker calls it with the argument `serve` and has unpacked the model; KServe has mounted it. For any
other model, the image itself names the port (PENSTOCK_PORT).
"""

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.core.artifacts import Model, SavedModel
from penstock.core.errors import ConfigError, UserError
from penstock.core.files import object_stores
from penstock.core.legacy import keras_version
from penstock.pipelines.cli.options import DEFAULT_CONFIG, is_config, load
from penstock.pipelines.cli.serve_operation import operation, operation_options

if TYPE_CHECKING:
    from penstock.components.model_server.operation.settings import Operation
    from penstock.components.model_server.settings import ModelSettings, ServerSettings

_CONTAINERS_PORT = 8080
_IMAGES_PORT = "PENSTOCK_PORT"  # the variable
_SAGEMAKER = "/opt/ml/model"
_KSERVE = "/mnt/models"
_NAME = "model"  # of a model whose folder has no name of its own
_UNNAMED = {"serving_model", "serving", "models", "model", "pushed_model", "push", Model.SERVING}


@dataclass(frozen=True)
class Contract:
    """What a container's environment asks for: the model's place, the address, and the model's name."""

    path: str
    port: int
    name: str = _NAME
    host: str = "0.0.0.0"


@click.command()
@click.argument("path_or_config", default="", metavar="[PATH|CONFIG]")
@click.option("--name", help="The model's name in URLs; by default that of its folder, or of the pipeline.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port of HTTP, 8501 by default (8080 in the image); 0 takes a free one.",
)
@click.option("--grpc-port", type=click.IntRange(0, 65535), help="Serves gRPC too, at this port; 0 takes a free one.")
@click.option("--host", help="The address to listen at: 127.0.0.1, this machine alone, by default.")
@click.option("--models", "models_file", type=click.Path(path_type=Path), help="A YAML file that lists several models.")
@click.option("--version", "pinned", type=click.IntRange(1), help="The version to serve, by default the newest.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), help="Seconds until an answer is due, 30 by default."
)
@operation_options
def serve(
    path_or_config: str,
    name: str | None,
    port: int | None,
    grpc_port: int | None,
    host: str | None,
    models_file: Path | None,
    pinned: int | None,
    timeout: float | None,
    **operation_values: Any,
) -> None:
    """Serves a model over HTTP and gRPC: its folder, a folder of its versions, a bucket, or what CONFIG has pushed."""
    from penstock.components.model_server.settings import ServerSettings, Versions, read_models

    if models_file and (path_or_config or name or pinned):
        raise UserError("--models names the models, their paths and versions: expected no PATH, --name or --version")
    contract = None if models_file else contract_of(path_or_config, os.environ)
    if models_file:
        settings = ServerSettings(read_models(models_file), models_file)
    else:
        model = model_of(contract, path_or_config, name)
        if pinned:
            model = replace(model, versions=Versions(pinned=frozenset({pinned})))
        settings = ServerSettings((model,))
    if contract:
        settings = replace(settings, host=contract.host, port=contract.port)
    elif os.environ.get(_IMAGES_PORT):
        settings = replace(settings, host="0.0.0.0", port=_port(_IMAGES_PORT, os.environ))
    _run(
        replace(
            settings,
            host=host or settings.host,
            port=settings.port if port is None else port,
            grpc=grpc_port is not None,
            grpc_port=settings.grpc_port if grpc_port is None else grpc_port,
            timeout=timeout or settings.timeout,
            operation=_with_service(operation(**operation_values), settings.models),
        )
    )


def _with_service(operation: "Operation", models: "Sequence[ModelSettings]") -> "Operation":
    """Returns how the server is operated, with a name in its events: the only model's, unless it has one."""
    events = operation.events
    if events is None or events.service or len(models) != 1:
        return operation
    return replace(operation, events=replace(events, service=models[0].name))


def _run(settings: "ServerSettings") -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    log_format = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=log_format, stream=sys.stderr, force=True)
    keras_version.leave_out()
    try:
        from penstock.components.model_server import server
    except ImportError as error:
        raise UserError(f"serving needs more packages: pip install 'penstock[runtime]' ({error})") from None
    server.serve(settings)


def contract_of(argument: str, environment: Mapping[str, str]) -> Contract | None:
    """Returns what the container's platform asks for; None for a command that a person gives."""
    if environment.get("AIP_STORAGE_URI"):
        return Contract(environment["AIP_STORAGE_URI"], _port("AIP_HTTP_PORT", environment))
    if argument == "serve" and not Path(argument).exists():
        return Contract(_SAGEMAKER, _port("SAGEMAKER_BIND_TO_PORT", environment))
    if not argument and not Path(DEFAULT_CONFIG).exists() and Path(_KSERVE).is_dir():
        return Contract(_KSERVE, _port("PORT", environment))
    return None


def _port(name: str, environment: Mapping[str, str]) -> int:
    text = environment.get(name) or str(_CONTAINERS_PORT)
    if not text.isdecimal() or int(text) > 65535:
        raise ConfigError(f"{name}: expected a port, received {text!r}")
    return int(text)


def model_of(contract: Contract | None, argument: str, name: str | None) -> "ModelSettings":
    """Returns the model that the platform, or else the command line, names; a UserError if there is none."""
    from penstock.components.model_server.settings import ModelSettings

    if contract:
        return ModelSettings(name or contract.name, contract.path)
    path = argument or DEFAULT_CONFIG
    if object_stores.is_remote(path):
        return ModelSettings(name or _named(path), path)
    if argument and not Path(path).exists() and not is_config(Path(path)):
        raise UserError(
            f"{path} does not exist: expected a model's folder, or a configuration such as {DEFAULT_CONFIG}"
        )
    if is_config(Path(path)):
        config = load(Path(path))
        if not config.push:
            raise UserError(f"{path} has no push.directory: serve a model's folder, or add push: {{directory: …}}")
        pushed = next(iter(config.push.folders.values()))
        if not object_stores.is_remote(pushed) and not _has_version(Path(pushed)):
            if any(child.name.isdecimal() for child in Path(pushed).glob("*")):
                raise UserError(f"{pushed} holds no SavedModel ({SavedModel.FILE}): no other model can be served")
            raise UserError(f"no model of {config.name} in {pushed} yet: `penstock run` pushes one")
        return ModelSettings(name or config.name, pushed)
    folder = Path(path).absolute()
    if not SavedModel(folder).exists and not Model(folder).serving_model() and not _has_version(folder):
        raise UserError(
            f"{path} holds no model: expected a SavedModel ({SavedModel.FILE}), folders of its versions, a run's "
            "trainer/model, or a configuration"
        )
    return ModelSettings(name or _named(str(folder)), str(folder))


def _has_version(folder: Path) -> bool:
    return any(SavedModel(child).exists for child in folder.glob("*") if child.name.isdecimal())


def _named(path: str) -> str:
    """Returns the name of the nearest folder that is no version and says what the model is."""
    for part in reversed(path.split("/")):
        if part and not part.isdecimal() and part not in _UNNAMED and ":" not in part:
            return part
    return _NAME

"""What runs the training pipeline: a Kubeflow Pipelines server, or Vertex AI Pipelines."""

import os

from pydantic import TypeAdapter, ValidationError

from penstock.components.retrainer.package import Package
from penstock.components.retrainer.runs import Runs
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError

VARIABLE = "PENSTOCK_PIPELINES_SERVER"  # what a target tells the task that its parameter does not
_NAMES = ("kubeflow", "vertex")


def open_runs(server: str, package: Package) -> Runs | None:
    """Returns what runs a pipeline, by the parameter or the variable of the task; None where neither names one.

    Raises a ConfigError for what is no such server.
    """
    servers = parse_object("server", server or os.environ.get(VARIABLE, ""), _NAMES, '{"kubeflow": {}}')
    if not servers:
        return None
    if len(servers) > 1:
        raise ConfigError(f"server: expected one of {', '.join(_NAMES)}, received several")
    (name, settings), *_ = servers.items()
    try:
        if name == "kubeflow":
            from penstock.components.retrainer.servers.kubeflow import KubeflowRuns, KubeflowServer

            return KubeflowRuns(TypeAdapter(KubeflowServer).validate_python(settings), package)
        from penstock.components.retrainer.servers.vertex_ai import VertexRuns, VertexServer

        return VertexRuns(TypeAdapter(VertexServer).validate_python(settings), package)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"server.{name}: {key + ': ' if key else ''}{first['msg']}") from None

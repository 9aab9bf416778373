"""Components that the pipelines of these tests are made of, and what becomes of a pipeline: compiled, and run here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import json_format
from kfp import dsl, local

from penstock.pipelines import lint
from penstock.pipelines.targets.target import KUBEFLOW, Target

IMAGE = "registry.example/python:3.13"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def facts() -> NamedTuple("Facts", [("ok", bool), ("names", list[str])]):  # type: ignore[misc]
    from collections import namedtuple

    return namedtuple("Facts", ["ok", "names"])(True, ["a", "b"])


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def is_ok() -> bool:
    return True


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def score() -> float:
    return 2.5


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def count() -> int:
    return 2


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def same(text: str) -> str:
    return text


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def names() -> list[str]:
    return ["a", "b"]


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def make(made: dsl.Output[dsl.Artifact]) -> None:
    with open(made.path, "w") as file:
        file.write("made")


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def use(made: dsl.Input[dsl.Artifact]) -> None:
    pass


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def act(text: str = "") -> None:
    pass


def compiled(function: Callable[..., Any], name: str = "linted") -> dict[str, Any]:
    spec: dict[str, Any] = json_format.MessageToDict(dsl.pipeline(name=name)(function).pipeline_spec)
    return spec


def found(function: Callable[..., Any], target: Target = KUBEFLOW) -> list[str]:
    """Returns what is found in a pipeline, as a person reads it."""
    return [str(finding) for finding in lint.findings([compiled(function)], target)]


def acts(function: Callable[..., Any], root: Path, name: str = "linted") -> bool:
    """Whether the pipeline's `act` runs, by kfp.local alone."""
    pipeline = dsl.pipeline(name=name)(function)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root), raise_on_error=True)
    pipeline()
    return any(root.rglob("act"))

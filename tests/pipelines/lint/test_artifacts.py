"""Artifacts of optional inputs: what is found, and that KFP's executor fails with what a Kubeflow server gives it."""

from collections.abc import Callable
from pathlib import Path
from typing import Optional, Union

import pytest
from kfp import dsl
from kfp.dsl import Artifact, Input, InputPath
from kfp.dsl.executor import Executor

from penstock.pipelines.targets.target import LOCAL, VERTEX
from tests.pipelines.lint.steps import IMAGE, found, make


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def takes_optional(text: str = "", made: Optional[Input[Artifact]] = None) -> None:  # noqa: UP045
    pass


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def takes_union(made: Union[Input[Artifact], None] = None) -> None:  # noqa: UP007
    pass


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def takes_default(made: Input[Artifact] = None, text: Optional[str] = None) -> None:  # type: ignore[assignment]  # noqa: UP045
    pass


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def takes_path(made: InputPath("Artifact")) -> None:  # type: ignore[valid-type]
    pass


def given(component: Callable[..., object]) -> Callable[[], None]:
    def pipeline() -> None:
        component(made=make().outputs["made"])

    return pipeline


def takes(component: object, folder: Path) -> None:
    """Does what KFP's executor does before it calls a component's function."""
    artifact = {"name": "19", "type": {"instanceSchema": ""}, "uri": "minio://bucket/made", "metadata": {}}
    inputs = {"artifacts": {"made": {"artifacts": [artifact]}}}
    Executor({"inputs": inputs, "outputs": {"outputFile": str(folder / "output")}}, component)  # type: ignore[arg-type]


@pytest.mark.parametrize("component", [takes_optional, takes_union], ids=["Optional", "Union"])
def test_an_optional_artifact_that_is_given_is_told(component: Callable[..., object], tmp_path: Path) -> None:
    (told,) = found(given(component))
    name = component.name.replace("_", "-")  # type: ignore[attr-defined]
    assert told == (
        f"{name}: Kubeflow gives made without its type, and KFP's executor cannot make an Optional: declare it as "
        f"`made: Input[Artifact] = None`, which is optional as well [optional-artifact:{name}]"
    )
    with pytest.raises(TypeError, match="Cannot instantiate"):
        takes(component, tmp_path)


def test_what_is_advised_passes_and_works(tmp_path: Path) -> None:
    assert found(given(takes_default)) == []
    takes(takes_default, tmp_path)


def test_what_is_not_given_or_no_artifact_passes() -> None:
    assert found(lambda: takes_optional(text="a") and None) == []
    assert found(given(takes_path)) == []


@pytest.mark.parametrize("target", [LOCAL, VERTEX])
def test_elsewhere_artifacts_come_with_their_type(target: object) -> None:
    assert found(given(takes_optional), target) == []  # type: ignore[arg-type]

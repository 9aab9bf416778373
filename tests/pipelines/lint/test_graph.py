"""Loops, sub-pipelines, containers: what is found, and that kfp.local cannot run it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kfp import dsl

from penstock.pipelines.targets.target import LOCAL
from tests.pipelines.lint.steps import IMAGE, act, acts, facts, found, is_ok, make, names, use


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def tell(status: dsl.PipelineTaskFinalStatus) -> None:
    pass


@dsl.container_component
def shell() -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image=IMAGE, command=["echo"], args=["a"])


@dsl.pipeline
def inner(made: dsl.Input[dsl.Artifact], text: str = "a") -> None:
    use(made=made)
    act(text=text)


def named_list() -> None:
    with dsl.ParallelFor(facts().outputs["names"]) as name:
        act(text=name)


def own_list() -> None:
    with dsl.ParallelFor(names().output) as name:
        act(text=name)


def named_list_inside() -> None:
    listed = facts().outputs["names"]
    with dsl.If(is_ok().output == True), dsl.ParallelFor(listed) as name:  # noqa: E712
        act(text=name)


def exit_handler_of_artifacts() -> None:
    made = make().outputs["made"]
    with dsl.ExitHandler(tell()):
        use(made=made)
        act()


def exit_handler_of_a_parameter(text: str = "a") -> None:
    made = make().outputs["made"]
    with dsl.ExitHandler(tell()):
        use(made=made)
        act(text=text)


def sub_pipeline_of_artifacts() -> None:
    inner(made=make().outputs["made"])


def sub_pipeline_of_a_parameter() -> None:
    inner(made=make().outputs["made"], text="b")


def condition_of_artifacts() -> None:
    made = make().outputs["made"]
    with dsl.If(is_ok().output == True):  # noqa: E712
        use(made=made)
        act()


def loop_of_artifacts() -> None:
    made = make().outputs["made"]
    with dsl.ParallelFor(["a", "b"]):
        use(made=made)
        act()


def container() -> None:
    shell()


LOST = "a local run loses the artifacts of an ExitHandler's body or a sub-pipeline that gets no parameter"


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (named_list, "for-loop-1: a local run cannot loop over the output facts.names"),
        (exit_handler_of_artifacts, f"exit-handler-1: {LOST}"),
        (sub_pipeline_of_artifacts, f"inner: {LOST}"),
        (container, "component shell: a local run starts no containers"),
    ],
)
def test_what_ends_a_local_run_is_told(function: Callable[..., None], sentence: str, tmp_path: Path) -> None:
    (told,) = found(function, LOCAL)
    assert told.startswith(sentence)
    with pytest.raises((ValueError, RuntimeError)):
        acts(function, tmp_path)


@pytest.mark.parametrize(
    "function",
    [
        own_list,
        named_list_inside,
        exit_handler_of_a_parameter,
        sub_pipeline_of_a_parameter,
        condition_of_artifacts,
        loop_of_artifacts,
    ],
)
def test_what_runs_passes(function: Callable[..., None], tmp_path: Path) -> None:
    assert found(function, LOCAL) == []
    assert acts(function, tmp_path)


def test_a_cluster_runs_containers() -> None:
    assert found(container) == []

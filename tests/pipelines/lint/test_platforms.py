"""What clusters refuse: images, accelerators by the other's names, the other's settings, sizes."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from kfp import dsl, kubernetes

from penstock.pipelines import lint
from penstock.pipelines.targets import target as targets
from penstock.pipelines.targets.target import Target
from tests.pipelines.lint.steps import act, compiled, found


@dsl.component(base_image="registry.example/python", install_kfp_package=False)
def untagged() -> None:
    pass


@dsl.component(base_image="python:3.13-slim", install_kfp_package=False)
def bare() -> None:
    pass


@dsl.component(base_image="python:3.13-slim")
def installing() -> None:
    pass


@dsl.component(base_image="registry.example/team/python:3.13", install_kfp_package=False)
def own_image() -> None:
    pass


@pytest.mark.parametrize("target", [targets.KUBEFLOW, targets.VERTEX])
def test_an_image_of_any_version_is_told(target: Target) -> None:
    (told,) = found(of(untagged), target)
    assert told.startswith("image registry.example/python: without a tag a node may run any version of it")
    assert found(of(untagged), targets.LOCAL) == []


@pytest.mark.parametrize("image", ["reg.example:5000/python:3", "reg.example/python@sha256:" + "0" * 64])
def test_a_tag_or_a_digest_will_do(image: str) -> None:
    def pipeline() -> None:
        act().set_container_image(image)

    assert found(pipeline) == []


def test_an_image_without_kfp_is_told() -> None:
    (told,) = found(of(bare))
    assert told.startswith("component bare: the image python:3.13-slim has no kfp: leave install_kfp_package on")
    assert found(of(installing)) == found(of(own_image)) == []
    assert found(of(bare), targets.LOCAL) == []


def of(component: Any) -> Callable[[], None]:
    def pipeline() -> None:
        component()

    return pipeline


def on(kind: str, count: int = 1) -> Callable[[], None]:
    def pipeline() -> None:
        act().set_accelerator_type(kind).set_accelerator_limit(count)

    return pipeline


@pytest.mark.parametrize(
    ("target", "kind", "count", "sentence"),
    [
        (targets.VERTEX, "nvidia.com/gpu", 1, "Vertex AI does not know the accelerator nvidia.com/gpu"),
        (targets.VERTEX, "NVIDIA_TESLA_T4", 3, "no machine of Vertex AI has 3 NVIDIA_TESLA_T4: expected 1, 2 or 4"),
        (targets.VERTEX, "NVIDIA_B200", 16, "no machine of Vertex AI has 16 NVIDIA_B200: expected 1, 2, 4 or 8"),
        (targets.KUBEFLOW, "NVIDIA_L4", 1, "Kubernetes has no resource NVIDIA_L4: use its name there"),
    ],
)
def test_an_accelerator_that_the_target_does_not_have(target: Target, kind: str, count: int, sentence: str) -> None:
    (told,) = found(on(kind, count), target)
    assert told.startswith(f"component act: {sentence}")


@pytest.mark.parametrize(
    ("target", "kind", "count"),
    [
        (targets.VERTEX, "NVIDIA_TESLA_T4", 4),
        (targets.VERTEX, "NVIDIA_TESLA_A100", 16),
        (targets.VERTEX, "TPU_V3", 8),
        (targets.KUBEFLOW, "nvidia.com/gpu", 3),
        (targets.KUBEFLOW, "amd.com/gpu", 1),
        (targets.LOCAL, "NVIDIA_L4", 3),
    ],
)
def test_an_accelerator_that_the_target_has(target: Target, kind: str, count: int) -> None:
    assert found(on(kind, count), target) == []


def test_every_accelerator_of_a_configuration_has_its_counts() -> None:
    assert targets.VERTEX.accelerators is not None
    assert set(targets.VERTEX.accelerators.values()) == set(lint.platforms._COUNTS)


def test_settings_of_kubernetes_are_not_for_vertex() -> None:
    @dsl.pipeline(name="linted")
    def pipeline() -> None:
        kubernetes.add_node_selector(act(), "pool", "gpu")

    documents = [json_format.MessageToDict(one) for one in (pipeline.pipeline_spec, pipeline.platform_spec)]
    (told,) = lint.findings(documents, targets.VERTEX)
    assert str(told).startswith("the second document holds settings of Kubernetes, which belong to Kubeflow")
    assert lint.findings(documents, targets.KUBEFLOW) == []


def test_a_spec_that_no_server_stores_is_told() -> None:
    def pipeline() -> None:
        for _ in range(11):
            act(text="e" * 100_000)

    (told,) = lint.findings([compiled(pipeline)], targets.VERTEX)
    assert "servers refuse more than 1,048,576" in told.sentence
    assert told.tag == "large-spec"
    assert lint.findings([compiled(pipeline)], targets.LOCAL) == []

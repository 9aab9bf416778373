"""A target changes the image, the resources and the platform of a compiled pipeline, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import dsl

from penstock.components.errors import ConfigError
from penstock.pipelines import targets
from penstock.pipelines.compile import compile_config, compile_for_run
from penstock.pipelines.config import Config
from penstock.pipelines.deployment import Resources
from penstock.pipelines.targets import Target


@dsl.component(base_image="penstock-python:test", install_kfp_package=False)
def nothing() -> None:
    pass


def by_kfp(cpu: str, memory: str, accelerator: str, count: int) -> dict[str, Any]:
    """Returns the resources as KFP's own compiler writes them."""

    @dsl.pipeline(name="oracle")
    def pipeline() -> None:
        task = nothing().set_cpu_limit(cpu).set_memory_limit(memory)
        task.set_accelerator_type(accelerator).set_accelerator_limit(count)

    (executor,) = json_format.MessageToDict(pipeline.pipeline_spec)["deploymentSpec"]["executors"].values()
    resources: dict[str, Any] = executor["container"]["resources"]
    return resources


@pytest.mark.parametrize(
    ("target", "accelerator"), [(targets.KUBEFLOW, "nvidia.com/gpu"), (targets.VERTEX, "NVIDIA_TESLA_T4")]
)
def test_resources_are_written_as_kfp_writes_them(
    target: Target, accelerator: str, load: Callable[..., Config], tmp_path: Path
) -> None:
    config = load(["resources.trainer={cpu: 3.5, memory: 10Gi, accelerator: {type: T4, count: 4}}", "image=a/b:1"])
    spec = yaml.safe_load(compile_config(config, target, tmp_path / "ir.yaml").path.read_text())
    containers = {label: executor["container"] for label, executor in spec["deploymentSpec"]["executors"].items()}
    assert {container["image"] for container in containers.values()} == {"a/b:1"}
    assert {label for label, container in containers.items() if "resources" in container} == {"exec-trainer"}
    assert containers["exec-trainer"]["resources"] == by_kfp("3.5", "10Gi", accelerator, 4)


def test_a_components_settings_replace_those_of_all_key_by_key(load: Callable[..., Config]) -> None:
    resources = load(["resources.default={cpu: 2, memory: 4G}", "resources.example_gen={memory: 8G}"]).resources
    assert resources.of("csv_example_gen") == resources.of("example_gen") == Resources(cpu=2, memory="8G")
    assert resources.of("trainer") == Resources(cpu=2, memory="4G")


def test_kubernetes_settings_for_another_target_are_refused(load: Callable[..., Config], tmp_path: Path) -> None:
    config = load(["kubernetes.trainer={node_selector: {pool: gpu}}"])
    with pytest.raises(
        ConfigError, match=r"kubernetes: target vertex does not run on Kubernetes .*compile for kubeflow"
    ):
        compile_config(config, targets.VERTEX, tmp_path / "ir.yaml")
    for target, documents in ((targets.LOCAL, 1), (targets.KUBEFLOW, 2)):
        text = compile_config(config, target, tmp_path / "ir.yaml").path.read_text()
        assert len(list(yaml.safe_load_all(text))) == documents


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("resources.trainr={cpu: 1}", "unknown key 'resources.trainr'; did you mean 'trainer'"),
        ("resources.trainer={cpu: 0}", "resources.trainer.cpu"),
        ("resources.trainer={memory: 8 GB}", "resources.trainer.memory"),
        ("resources.trainer={accelerator: {type: RTX}}", "resources.trainer.accelerator.type: expected .* one of T4,"),
        ("kubernetes.trainer={tolerations: [{operator: Equal}]}", "key: expected the taint's key"),
        ("kubernetes.trainer={secrets: [{name: s}]}", "expected either env"),
        (
            "resources.trainer={accelerator: {type: nvidia.com/gpu}}",
            "expected the model's name, one of T4, .*, received 'nvidia.com/gpu'; on Kubeflow, .* a node_selector",
        ),
        ("resources.trainer={accelerator: {type: NVIDIA_A100_80GB}}", "did you mean 'A100_80GB'"),
        ("resources.trainer={accelerator: {type: Tesla T4}}", "did you mean 'T4'"),
        ("resources.trainer={accelerator: nvidia.com/gpu}", r"such as {type: T4, count: 1}, received 'nvidia.com/gpu'"),
        ("kubernetes.trainer={volumes: [{claim: c, mount: data}]}", "mount: expected an absolute path"),
        ("kubernetes.trainer={volumes: [{claim: c, mount: /a:b}]}", "mount: expected an absolute path"),
        (
            "kubernetes.trainer={volumes: [{claim: c, mount: /data}, {claim: d, mount: /data/}]}",
            "expected a folder of its own for each volume and Secret, received /data twice",
        ),
        (
            "kubernetes.trainer={volumes: [{claim: c, mount: /data}], secrets: [{name: s, mount: /data}]}",
            "received /data twice",
        ),
        ("kubernetes.trainer={secrets: [{name: s, env: {key: BAD NAME}}]}", "env.key: expected a variable's name"),
        ("kubernetes.trainer={secrets: [{name: s, env: {a key: NAME}}]}", "expected a key of a Secret"),
        ("kubernetes.trainer={node_selector: {pool: a b}}", "node_selector.pool: expected 63 letters"),
        ("kubernetes.trainer={node_selector: {a b: pool}}", "expected a key of Kubernetes"),
        ("kubernetes.trainer={tolerations: [{operator: Exists, seconds: 5}]}", "seconds: expected effect NoExecute"),
        ("image=foo/bar:1 2", "image: expected an image's name with its tag or digest"),
        ("image=''", "image: expected an image's name"),
        ("image=", "--set image=: expected a value: null takes the default"),
        ("kubernetes.trainer={service_account: runs}", "did you mean 'kubeflow.service_account'"),
    ],
)
def test_what_no_cluster_takes_is_refused(setting: str, message: str, load: Callable[..., Config]) -> None:
    with pytest.raises(ConfigError, match=message):
        load([setting])


@pytest.mark.parametrize(
    "image",
    [
        "penstock:1",
        "penstock-python:0.1.0",
        "localhost:5000/Team_1".lower() + "/a.b__c:V-1",
        f"a.b/c@sha256:{'0' * 64}",
    ],
)
def test_an_image(image: str, load: Callable[..., Config]) -> None:
    assert load([f"image='{image}'"]).image == image


def test_a_folder_mounted_twice_by_all_and_by_one(load: Callable[..., Config], tmp_path: Path) -> None:
    of_all = "kubernetes.default={volumes: [{claim: a, mount: /data}]}"
    config = load([of_all, "kubernetes.trainer={secrets: [{name: s, mount: /data}]}"])
    with pytest.raises(ConfigError, match="kubernetes: trainer has /data mounted twice"):
        compile_config(config, targets.KUBEFLOW, tmp_path / "ir.yaml")
    replaced = load([of_all, "kubernetes.trainer={volumes: [{claim: b, mount: /data}]}"])
    compile_config(replaced, targets.KUBEFLOW, tmp_path / "ir.yaml")


def test_a_count_that_no_machine_has(load: Callable[..., Config], tmp_path: Path) -> None:
    config = load(["resources.trainer={accelerator: {type: T4, count: 3}}"])
    with pytest.raises(ConfigError, match="component trainer: no machine of Vertex AI has 3 NVIDIA_TESLA_T4"):
        compile_config(config, targets.VERTEX, tmp_path / "ir.yaml")
    compile_config(config, targets.KUBEFLOW, tmp_path / "ir.yaml")


def test_compiled_pipeline_is_kept_by_its_content(load: Callable[..., Config], project: Path) -> None:
    first, again = (compile_for_run(load(), targets.LOCAL).path for _ in range(2))
    other = compile_for_run(load(["training.train_steps=11"]), targets.LOCAL).path
    assert first == again != other
    assert {path.parent for path in (first, other)} == {project / "runs" / "small" / "compiled"}


def test_comment_that_lists_the_inputs_stays(load: Callable[..., Config], tmp_path: Path) -> None:
    text = compile_config(load(), targets.LOCAL, tmp_path / "ir.yaml").path.read_text()
    assert text.startswith("# PIPELINE DEFINITION\n# Name: small\n")


def test_unknown_target_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown target 'locale'; did you mean 'local'\?"):
        targets.named("locale")

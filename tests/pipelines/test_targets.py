"""A target changes the image and the resources of a compiled pipeline, and nothing else."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from penstock.components.errors import ConfigError
from penstock.pipelines import targets
from penstock.pipelines.compile import compile_config, compile_for_run
from penstock.pipelines.config import Config
from penstock.pipelines.targets import Resources, Target


def test_target_decides_image_and_resources(load: Callable[..., Config], tmp_path: Path) -> None:
    cluster = Target(
        "cluster",
        "registry.example/penstock-python@sha256:0",
        {"trainer": Resources(cpu="4", memory="16G", accelerator_type="nvidia.com/gpu", accelerator_count=1)},
    )
    config = load()
    local = yaml.safe_load(compile_config(config, targets.LOCAL, tmp_path / "local.yaml").path.read_text())
    other = yaml.safe_load(compile_config(config, cluster, tmp_path / "cluster.yaml").path.read_text())
    containers = {label: executor["container"] for label, executor in other["deploymentSpec"]["executors"].items()}
    assert {container["image"] for container in containers.values()} == {cluster.image}
    assert {label for label, container in containers.items() if "resources" in container} == {"exec-trainer"}
    assert containers["exec-trainer"]["resources"] == {
        "resourceCpuLimit": "4",
        "resourceMemoryLimit": "16G",
        "accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"},
    }
    assert other != local
    for container in containers.values():
        container["image"] = targets.LOCAL.image
        container.pop("resources", None)
    assert other == local


def test_applying_changes_no_argument() -> None:
    spec = {"deploymentSpec": {"executors": {"exec-a": {"container": {"image": "x"}}}}}
    before = copy.deepcopy(spec)
    assert targets.LOCAL.apply(spec) != before
    assert spec == before


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

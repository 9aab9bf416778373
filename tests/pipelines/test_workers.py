"""`training.workers`: what each target makes of it. The jobs themselves are golden files (test_golden.py)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.components.errors import ConfigError
from penstock.components.workers import launcher
from penstock.pipelines import machines, targets
from penstock.pipelines.compile import compile_config
from penstock.pipelines.config import Config
from penstock.pipelines.deployment import Resources

VOLUME = "kubernetes.trainer={volumes: [{claim: shared, mount: /shared}, {claim: b, mount: /b}]}"
ASKED = {
    "local": [],
    "vertex": ["vertex.project=p"],
    "kubeflow": [VOLUME],
}


@pytest.fixture
def compiled(load: Callable[..., Config], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Returns a function that compiles for a target, and returns the pipeline spec."""

    def compiled(target: str, *assignments: str) -> dict[str, Any]:
        path = compile_config(load(assignments), targets.named(target), tmp_path / "ir.yaml").path
        spec: dict[str, Any] = next(yaml.safe_load_all(path.read_text()))
        return spec

    return compiled


def container(spec: dict[str, Any], label: str = "exec-trainer") -> dict[str, Any]:
    found: dict[str, Any] = spec["deploymentSpec"]["executors"][label]["container"]
    return found


def job(spec: dict[str, Any]) -> dict[str, Any]:
    (variable,) = container(spec)["env"]
    assert variable["name"] == launcher.VARIABLE
    found: dict[str, Any] = json.loads(variable["value"])
    return found


def test_the_graph_is_the_same_on_all_targets(compiled: Callable[..., dict[str, Any]]) -> None:
    specs = [compiled(target, "training.workers=3", *settings) for target, settings in ASKED.items()]
    for spec in specs:
        inputs = spec["root"]["dag"]["tasks"]["trainer"]["inputs"]["parameters"]
        assert inputs["workers"]["runtimeValue"]["constant"] == 3
        container(spec).clear()
        for one in spec["deploymentSpec"]["executors"].values():
            one["container"].pop("image", None)
    assert specs[0] == specs[1] == specs[2]


@pytest.mark.parametrize("target", ASKED)
def test_one_worker_is_no_job(compiled: Callable[..., dict[str, Any]], target: str) -> None:
    assert "env" not in container(compiled(target, *ASKED[target]))


def test_this_machine_starts_no_job(compiled: Callable[..., dict[str, Any]]) -> None:
    assert "env" not in container(compiled("local", "training.workers=3"))


@pytest.mark.parametrize("target", ["vertex", "kubeflow"])
def test_the_workers_have_the_trainers_machine_and_the_task_has_not(
    compiled: Callable[..., dict[str, Any]], target: str
) -> None:
    resources = "resources={default: {cpu: 2}, trainer: {cpu: 8, memory: 30G, accelerator: {type: T4, count: 2}}}"
    spec = compiled(target, "training.workers=4", resources, *ASKED[target])
    assert container(spec)["resources"] == {"cpuLimit": 2, "resourceCpuLimit": "2"}
    assert [list(one["container"]) for one in spec["deploymentSpec"]["executors"].values()].count(["env"]) == 0
    made = job(spec)["job"]
    if target == "vertex":
        pools = made["jobSpec"]["workerPoolSpecs"]
        assert [pool["replicaCount"] for pool in pools] == ["1", "3"]
        machine = {"machineType": "n1-standard-8", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 2}
        assert [pool["machineSpec"] for pool in pools] == [machine] * 2
    else:
        trainer = made["spec"]["trainer"]
        assert trainer["numNodes"] == 4
        assert trainer["resourcesPerNode"] == {"limits": {"cpu": "8", "memory": "30G", "nvidia.com/gpu": "2"}}


def test_vertex_settings_reach_the_job(compiled: Callable[..., dict[str, Any]]) -> None:
    key = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"
    settings = (
        f"vertex={{project: p, location: europe-west4, network: projects/1/global/networks/n, labels: {{team: a}}, "
        f"encryption_spec_key_name: {key}, service_account: a@p.iam, timeout: 9, api_endpoint: 'http://127.0.0.1:1'}}"
    )
    made = job(compiled("vertex", "training.workers=2", settings))
    expected = {"project": "p", "location": "europe-west4", "timeout": 9, "api_endpoint": "http://127.0.0.1:1"}
    assert made["connection"] == expected
    assert made["job"]["labels"] == {"team": "a"}
    assert made["job"]["encryptionSpec"] == {"kmsKeyName": key}
    assert made["job"]["jobSpec"]["network"] == "projects/1/global/networks/n"
    assert made["job"]["jobSpec"]["serviceAccount"] == "a@p.iam"


def test_the_first_volume_is_shared(compiled: Callable[..., dict[str, Any]]) -> None:
    assert job(compiled("kubeflow", "training.workers=2", VOLUME))["shared"] == "/shared"


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        ("vertex", [], r"vertex.project is missing: training.workers needs it"),
        ("kubeflow", [], r"training.workers: on Kubeflow the workers share files on a volume: expected one"),
        ("kubeflow", ["kubernetes.trainer={node_selector: {a: b}}"], r"share files on a volume"),
        ("vertex", ["vertex.project=p", "resources.trainer={cpu: 500}"], r"no machine of Vertex AI has 500 processors"),
        ("local", ["training.workers=0"], r"training.workers: expected greater than 0"),
    ],
)
def test_what_cannot_be_started_is_one_sentence(
    compiled: Callable[..., dict[str, Any]], target: str, settings: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        compiled(target, *(["training.workers=2"] if "training.workers=0" not in settings else []), *settings)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "e2-standard-4"),
        ({"cpu": 0.5}, "e2-standard-4"),
        ({"cpu": 5}, "e2-standard-8"),
        ({"cpu": 4, "memory": "30Gi"}, "e2-highmem-4"),
        ({"cpu": 4, "memory": "40Gi"}, "e2-highmem-8"),  # not e2-standard-16: fewer processors are enough
        ({"cpu": 33}, "n2-standard-48"),
        ({"memory": "900G"}, "m1-ultramem-40"),
        ({"accelerator": {"type": "T4"}}, "n1-standard-4"),
        ({"cpu": 8, "memory": "40G", "accelerator": {"type": "V100"}}, "n1-highmem-8"),
        ({"cpu": 20, "accelerator": {"type": "T4", "count": 2}}, "n1-standard-32"),
        ({"accelerator": {"type": "L4"}}, "g2-standard-4"),
        ({"cpu": 9, "accelerator": {"type": "L4"}}, "g2-standard-12"),
        ({"accelerator": {"type": "L4", "count": 4}}, "g2-standard-48"),
        ({"accelerator": {"type": "A100"}}, "a2-highgpu-1g"),
        ({"accelerator": {"type": "A100", "count": 16}}, "a2-megagpu-16g"),
        ({"accelerator": {"type": "A100_80GB", "count": 2}}, "a2-ultragpu-2g"),
        ({"accelerator": {"type": "H100", "count": 8}}, "a3-highgpu-8g"),
        ({"accelerator": {"type": "H200", "count": 8}}, "a3-ultragpu-8g"),
        ({"accelerator": {"type": "B200", "count": 8}}, "a4-highgpu-8g"),
    ],
)
def test_the_smallest_machine_that_is_enough(resources: dict[str, Any], expected: str) -> None:
    assert machines.machine_type(Resources.model_validate(resources), "trainer") == expected


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"accelerator": {"type": "L4", "count": 3}}, "4 processors, 3 L4"),
        ({"cpu": 12, "accelerator": {"type": "V100"}}, "12 processors, 1 V100"),
        ({"cpu": 8, "memory": "9000G"}, "8 processors, 9000G"),
        ({"cpu": 1, "accelerator": {"type": "H200", "count": 2}}, "1 processors, 2 H200"),
    ],
)
def test_no_machine_is_enough(resources: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=f"resources.trainer: no machine of Vertex AI has {told}: ask for less"):
        machines.machine_type(Resources.model_validate(resources), "trainer")

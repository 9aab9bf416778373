"""`training.workers` and `tuning.workers`: what targets make of them. The jobs are golden files (test_golden.py)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.components.jobs import launcher
from penstock.core.errors import ConfigError
from penstock.pipelines.compiling.compile import compile_config
from penstock.pipelines.config.resources import Resources
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local import launch
from penstock.pipelines.targets import target as targets
from penstock.pipelines.targets import vertex_machines

KEYS = {"trainer": "training.workers", "tuner": "tuning.workers"}
TARGETS = ["local", "vertex", "kubeflow"]


@pytest.fixture(params=KEYS)
def component(request: pytest.FixtureRequest, project: Path) -> str:
    """Whose workers are asked for; the module has a function for either."""
    with open(project / "module.py", "a") as module:
        module.write("\n\ndef tuner_fn(fn_args):\n    pass\n")
    return str(request.param)


@pytest.fixture
def compiled(load: Callable[..., Config], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Returns a function that compiles for a target, and returns the pipeline spec."""

    def compiled(target: str, *assignments: str) -> dict[str, Any]:
        path = compile_config(load(["kubeflow={}", *assignments]), targets.named(target), tmp_path / "ir.yaml").path
        spec: dict[str, Any] = next(yaml.safe_load_all(path.read_text()))
        return spec

    return compiled


def volume(component: str) -> str:
    return f"kubernetes.{component}={{volumes: [{{claim: shared, mount: /shared}}, {{claim: b, mount: /b}}]}}"


def needed(target: str, component: str) -> list[str]:
    return {"local": [], "vertex": ["vertex.project=p"], "kubeflow": [volume(component)]}[target]


def container(spec: dict[str, Any], component: str) -> dict[str, Any]:
    found: dict[str, Any] = spec["deploymentSpec"]["executors"][f"exec-{component}"]["container"]
    return found


def job(spec: dict[str, Any], component: str) -> dict[str, Any]:
    (variable,) = container(spec, component)["env"]
    assert variable["name"] == launcher.VARIABLE
    found: dict[str, Any] = json.loads(variable["value"])
    return found


def with_jobs(spec: dict[str, Any]) -> list[str]:
    """Returns the components whose tasks start one."""
    executors = spec["deploymentSpec"]["executors"].items()
    return [label.removeprefix("exec-") for label, one in executors if "env" in one["container"]]


def test_the_graph_is_the_same_on_all_targets(compiled: Callable[..., dict[str, Any]], component: str) -> None:
    specs = [compiled(target, f"{KEYS[component]}=3", *needed(target, component)) for target in TARGETS]
    for spec in specs:
        inputs = spec["root"]["dag"]["tasks"][component]["inputs"]["parameters"]
        assert inputs["workers"]["runtimeValue"]["constant"] == 3
        container(spec, component).clear()
        for one in spec["deploymentSpec"]["executors"].values():
            one["container"].pop("image", None)
    assert specs[0] == specs[1] == specs[2]


@pytest.mark.parametrize("target", TARGETS)
def test_one_worker_is_no_job(compiled: Callable[..., dict[str, Any]], target: str, component: str) -> None:
    assert with_jobs(compiled(target, f"{KEYS[component]}=1", *needed(target, component))) == []


def test_this_machine_starts_no_job(compiled: Callable[..., dict[str, Any]], component: str) -> None:
    assert with_jobs(compiled("local", f"{KEYS[component]}=3")) == []


@pytest.mark.parametrize("target", ["vertex", "kubeflow"])
def test_both_start_a_job_of_their_own(compiled: Callable[..., dict[str, Any]], target: str, component: str) -> None:
    settings = [setting for one in KEYS for setting in needed(target, one)]
    spec = compiled(target, "training.workers=2", "tuning.workers=5", *dict.fromkeys(settings))
    assert sorted(with_jobs(spec)) == ["trainer", "tuner"]
    made = job(spec, component)["job"]
    count = {"trainer": 2, "tuner": 5}[component]
    if target == "vertex":
        pools = made["jobSpec"]["workerPoolSpecs"]
        assert [pool["replicaCount"] for pool in pools] == ["1", str(count - 1)]
        commands = [pool["containerSpec"]["command"] for pool in pools]
        # Machines of a search join it again; workers that train one model do not.
        assert made["jobSpec"].get("scheduling", {}) == (
            {"restartJobOnWorkerRestart": True} if component == "trainer" else {}
        )
    else:
        assert made["spec"]["trainer"]["numNodes"] == count
        commands = [made["spec"]["trainer"]["command"]]
    assert {tuple(command[-2:]) for command in commands} == {("penstock.components.jobs.worker", component)}


@pytest.mark.parametrize("target", ["vertex", "kubeflow"])
def test_the_workers_have_the_components_machine_and_the_task_has_not(
    compiled: Callable[..., dict[str, Any]], target: str, component: str
) -> None:
    own = "{cpu: 8, memory: 30G, accelerator: {type: T4, count: 2}}"
    resources = f"resources={{default: {{cpu: 2}}, {component}: {own}}}"
    spec = compiled(target, f"{KEYS[component]}=4", resources, *needed(target, component))
    assert container(spec, component)["resources"] == {"cpuLimit": 2, "resourceCpuLimit": "2"}
    assert with_jobs(spec) == [component]
    made = job(spec, component)["job"]
    if target == "vertex":
        pools = made["jobSpec"]["workerPoolSpecs"]
        assert [pool["replicaCount"] for pool in pools] == ["1", "3"]
        machine = {"machineType": "n1-standard-8", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 2}
        assert [pool["machineSpec"] for pool in pools] == [machine] * 2
    else:
        trainer = made["spec"]["trainer"]
        assert trainer["numNodes"] == 4
        assert trainer["resourcesPerNode"] == {"limits": {"cpu": "8", "memory": "30G", "nvidia.com/gpu": "2"}}


def test_vertex_settings_reach_the_job(compiled: Callable[..., dict[str, Any]], component: str) -> None:
    key = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"
    settings = (
        f"vertex={{project: p, location: europe-west4, network: projects/1/global/networks/n, labels: {{team: a}}, "
        f"encryption_spec_key_name: {key}, service_account: a@p.iam, timeout: 9, api_endpoint: 'http://127.0.0.1:1'}}"
    )
    made = job(compiled("vertex", f"{KEYS[component]}=2", settings), component)
    expected = {"project": "p", "location": "europe-west4", "timeout": 9, "api_endpoint": "http://127.0.0.1:1"}
    assert made["connection"] == expected
    assert made["job"]["labels"] == {"team": "a"}
    assert made["job"]["encryptionSpec"] == {"kmsKeyName": key}
    assert made["job"]["jobSpec"]["network"] == "projects/1/global/networks/n"
    assert made["job"]["jobSpec"]["serviceAccount"] == "a@p.iam"


def test_the_first_volume_is_shared(compiled: Callable[..., dict[str, Any]], component: str) -> None:
    spec = compiled("kubeflow", f"{KEYS[component]}=2", volume(component))
    assert job(spec, component)["shared"] == "/shared"


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        ("vertex", [], r"vertex.project is missing: {key} needs it there or in --project, for the {Title} starts"),
        ("kubeflow", [], r"{key}: on Kubeflow the workers share files on a volume: .*kubernetes.{component}="),
        ("kubeflow", ["kubernetes.{component}={{node_selector: {{a: b}}}}"], r"share files on a volume"),
        (
            "vertex",
            ["vertex.project=p", "resources.{component}={{cpu: 500}}"],
            r"resources.{component}: no machine of Vertex AI has 500 processors",
        ),
        ("local", ["{key}=0"], r"{key}: expected greater than 0"),
    ],
)
def test_what_cannot_be_started_is_one_sentence(
    compiled: Callable[..., dict[str, Any]], component: str, target: str, settings: list[str], message: str
) -> None:
    words = {"key": KEYS[component], "component": component, "Title": component.capitalize()}
    asked = [f"{KEYS[component]}=2", *(setting.format(**words) for setting in settings)]
    with pytest.raises(ConfigError, match=message.format(**words)) as raised:
        compiled(target, *asked)
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
    assert vertex_machines.machine_type(Resources.model_validate(resources), "trainer") == expected


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"cpu": 12, "accelerator": {"type": "V100"}}, "12 processors, 1 V100"),
        ({"cpu": 8, "memory": "9000G"}, "8 processors, 9000G"),
    ],
)
def test_no_machine_is_enough(resources: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=f"resources.trainer: no machine of Vertex AI has {told}: ask for less"):
        vertex_machines.machine_type(Resources.model_validate(resources), "trainer")


@pytest.mark.parametrize(
    ("type_", "count", "counts"), [("L4", 3, "1, 2, 4, 8"), ("T4", 3, "1, 2, 4"), ("H200", 2, "8")]
)
def test_how_many_accelerators_there_are(type_: str, count: int, counts: str) -> None:
    resources = Resources.model_validate({"accelerator": {"type": type_, "count": count}})
    with pytest.raises(ConfigError, match=f"count: expected one of {counts}, which .* of {type_}, received {count}"):
        vertex_machines.machine_type(resources, "trainer")


def test_a_run_here_says_that_one_machine_works(load: Callable[..., Config], component: str) -> None:
    verb, count = {"trainer": ("trains", 3), "tuner": ("searches", 2)}[component]
    sentences = launch.lone_workers(load(["training.workers=3", "tuning.workers=2"]))
    assert f"{KEYS[component]}: this machine {verb} alone, not {count} of them" in " ".join(sentences)
    assert launch.lone_workers(load()) == []

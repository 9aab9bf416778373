"""The compiled pipelines of the examples and of a new project, as they were committed, for every target.

`python tests/pipelines/test_golden.py` writes them anew. Paths, what a target decides (image, resources, platform) and
what each component's own file says (its source and its docstring) are masked: what is compared is the graph, its
parameters, and the components' interfaces, and those are the same for all targets. What a target decides is compared
apart, for a configuration with settings of every kind: deployment-<target>.yaml, and workers-<target>.yaml and
searchers-<target>.yaml, the jobs that the Trainer's and the Tuner's tasks start where several machines train or search,
and tuning-service.yaml, the one of Vertex AI's own tuning service.
"""

import importlib.util
import json
import re
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud import aiplatform_v1
from google.protobuf import json_format
from kubeflow_trainer_api.models import TrainerV1alpha1TrainingRuntime, TrainerV1alpha1TrainJob

from penstock.components import wrapper
from penstock.components.jobs import kubeflow, launcher, vertex
from penstock.components.trainer.launcher import WORK as TRAINER
from penstock.components.tuner.launcher import SERVICE
from penstock.components.tuner.launcher import WORK as TUNER
from penstock.pipelines.cli import init
from penstock.pipelines.compiling.compile import compile_config, compile_monitoring
from penstock.pipelines.config import training_pipeline as configs
from penstock.pipelines.targets import target as targets
from penstock.trainer.network.hyperparameters import Hyperparameters
from penstock.trainer.tuning import vertex_study
from penstock.trainer.tuning.settings import Search

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"
CONFIGS = {
    "taxi": ROOT / "examples" / "taxi" / "pipeline.yaml",
    "flights": ROOT / "examples" / "flights" / "pipeline.yaml",
    "own_source": ROOT / "examples" / "own_source" / "pipeline.yaml",
    "template": init.TEMPLATE / "pipeline.yaml",
    "tuned": Path(__file__).with_name("tuned.yaml"),
    "searched": Path(__file__).with_name("searched.yaml"),
    "cleaned": Path(__file__).with_name("cleaned.yaml"),
    "kserve": Path(__file__).with_name("kserve.yaml"),
    "sagemaker": Path(__file__).with_name("sagemaker.yaml"),
    "vertex_ai": Path(__file__).with_name("vertex_ai.yaml"),
    "monitored": Path(__file__).with_name("monitored.yaml"),
    "monitoring": Path(__file__).with_name("monitored.yaml"),  # the pipeline that monitors
}


DEPLOYMENT = [
    "image=registry.example/penstock-python:1.2@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "resources.default={cpu: 2, memory: 8G}",
    "resources.trainer={cpu: 7.5, memory: 32Gi, accelerator: {type: A100_80GB, count: 2}}",
]
KUBERNETES = [
    "kubernetes.default={image_pull_secrets: [registry], image_pull_policy: IfNotPresent, object_store: kfp, "
    "secrets: [{name: database, env: {password: DB_PASSWORD}}, {name: files, mount: /secrets, optional: true}]}",
    "kubernetes.trainer={node_selector: {pool: gpu}, tolerations: [{key: gpu, value: big, effect: NoSchedule}, "
    "{operator: Exists, effect: NoExecute, seconds: 60}], volumes: [{claim: data, mount: /data}], "
    "object_store: {secret: team-gcs, key_file: key.json}}",
]


PLACES = {
    "vertex": ["vertex={project: my-project, service_account: runs@p.iam}"],
    "kubeflow": ["kubeflow.service_account=default-editor"],
}
TUNER_DEPLOYMENT = "resources.tuner={cpu: 4, memory: 16Gi, accelerator: {type: T4}}"
TUNER_VOLUME = "kubernetes.tuner={volumes: [{claim: data, mount: /data}]}"
# The golden files of jobs: whose they are, of which pipeline, and what asks for them.
JOBS = {
    "workers": (TRAINER, "taxi", ["training.workers=3"]),
    "searchers": (TUNER, "searched", ["tuning.workers=3", TUNER_DEPLOYMENT]),
}


def compiled(name: str, target: targets.Target, folder: Path, *assignments: str) -> list[dict[str, Any]]:
    """Returns the documents of a compiled configuration."""
    data = folder / "flights.csv"  # the flights are written by prepare.py, only their path matters here
    data.touch()
    assignments = (f"pipeline_root={folder}", *([f"data.path={data}"] if name == "flights" else []), *assignments)
    config, path = configs.load(CONFIGS[name], assignments), folder / "ir.yaml"
    if name == "monitoring":
        compile_monitoring(config, target, path)
    else:
        compile_config(config, target, path)
    return list(yaml.safe_load_all(path.read_text()))


def masked(name: str, target: targets.Target, folder: Path, *assignments: str) -> str:
    """Returns the IR of a configuration without what differs between targets, machines and versions."""
    spec, *_ = compiled(name, target, folder, *assignments)
    for label, executor in spec["deploymentSpec"]["executors"].items():
        if "container" in executor:  # an importer has none
            executor["container"] = {"args": executor["container"]["args"], "command": [f"{{source of {label}}}"]}
    _drop_descriptions(spec["components"])
    text = yaml.safe_dump(spec, sort_keys=True, width=1000)
    tfx = importlib.util.find_spec("tfx")
    assert tfx is not None
    assert tfx.origin is not None
    places = {
        str(folder): "{pipeline_root}",
        str(CONFIGS[name].parent): "{project}",
        str(Path(tfx.origin).parent): "{tfx}",
    }
    for place, mask in places.items():
        text = text.replace(place, mask)
    return re.sub("compiled/[0-9a-f]{16}", "compiled/{digest}", text)  # of what a target decides as well


def deployment(target: targets.Target, folder: Path) -> str:
    """Returns what a target decides of the taxi pipeline, for a configuration with settings of every kind."""
    assignments = [*DEPLOYMENT, *(KUBERNETES if target.kubernetes else [])]
    spec, *platform = compiled("taxi", target, folder, *assignments)
    containers = {
        label: {key: value for key, value in executor["container"].items() if key not in ("args", "command")}
        for label, executor in spec["deploymentSpec"]["executors"].items()
    }
    text = yaml.safe_dump_all([containers, *platform], sort_keys=True, width=1000)
    return text.replace(wrapper.IMAGE, "{image of this version}")


def workers_job(job: str, target: targets.Target, folder: Path) -> dict[str, Any]:
    """Returns what a task is told of its workers, for a configuration with settings of every kind."""
    work, pipeline, asked = JOBS[job]
    kubernetes = [*KUBERNETES, *([TUNER_VOLUME] if work is TUNER else [])] if target.kubernetes else []
    spec, *_ = compiled(pipeline, target, folder, *DEPLOYMENT, *kubernetes, *PLACES[target.name], *asked)
    variables = spec["deploymentSpec"]["executors"][f"exec-{work.component}"]["container"]["env"]
    (text,) = (variable["value"] for variable in variables if variable["name"] == launcher.VARIABLE)
    found: dict[str, Any] = json.loads(text)
    return found


def manifest(job: str, target: targets.Target, folder: Path) -> str:
    """Returns a job as it is submitted, with a name and the argument of its workers."""
    described, argument = workers_job(job, target, folder)["job"], '{"model": "…"}'
    name = JOBS[job][0].job_name("/gcs/bucket/model")
    if target.kubernetes:
        made = kubeflow.made_of(described, name, 1, argument)
    else:
        message = vertex.made_of(aiplatform_v1.CustomJob, described, name, argument)
        made = json_format.MessageToDict(aiplatform_v1.CustomJob.pb(message))
    return yaml.safe_dump(made, sort_keys=True, width=1000, allow_unicode=True)


def tuning_service(folder: Path) -> str:
    """Returns the job of Vertex AI's tuning service as it is submitted, with a name and the argument of its trials."""
    asked = [*DEPLOYMENT, *PLACES["vertex"], "vertex.tuning_service=true", "tuning.workers=3", TUNER_DEPLOYMENT]
    spec, *_ = compiled("searched", targets.VERTEX, folder, *asked)
    (variable,) = spec["deploymentSpec"]["executors"]["exec-tuner"]["container"]["env"]
    assert variable["name"] == SERVICE
    parameters = spec["root"]["dag"]["tasks"]["tuner"]["inputs"]["parameters"]
    search = Search.from_json(json.loads(parameters["custom_config"]["runtimeValue"]["constant"])["tuning"])
    described, kinds = json.loads(variable["value"])["job"], Hyperparameters.kinds()
    job = vertex_study.completed(described, search, kinds, search.objective, search.direction)
    name = TUNER.job_name("/gcs/bucket/best_hyperparameters")
    message = vertex.made_of(aiplatform_v1.HyperparameterTuningJob, job, name, '{"examples": "…"}')
    made = json_format.MessageToDict(aiplatform_v1.HyperparameterTuningJob.pb(message))
    return yaml.safe_dump(made, sort_keys=True, width=1000, allow_unicode=True)


def _drop_descriptions(value: Any) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("description"), str):
            del value["description"]
        for part in value.values():
            _drop_descriptions(part)


@pytest.mark.parametrize("target", targets.TARGETS)
@pytest.mark.parametrize("name", CONFIGS)
def test_compiled_pipeline_is_the_committed_one(name: str, target: str, tmp_path: Path) -> None:
    committed = (GOLDEN / f"{name}.yaml").read_text()
    settings = DEPLOYMENT if target != "local" else []
    settings = settings + (KUBERNETES if target == "kubeflow" else [])
    written = masked(name, targets.named(target), tmp_path, *settings)
    assert written == committed, "if that is meant: make generate"


@pytest.mark.parametrize("target", targets.TARGETS)
def test_what_a_target_decides_is_as_committed(target: str, tmp_path: Path) -> None:
    committed = (GOLDEN / f"deployment-{target}.yaml").read_text()
    assert deployment(targets.named(target), tmp_path) == committed, "if that is meant: make generate"


@pytest.mark.parametrize("target", PLACES)
@pytest.mark.parametrize("job", JOBS)
def test_job_of_several_workers_is_as_committed(job: str, target: str, tmp_path: Path) -> None:
    committed = (GOLDEN / f"{job}-{target}.yaml").read_text()
    assert manifest(job, targets.named(target), tmp_path) == committed, "if that is meant: make generate"


def test_job_of_the_tuning_service_is_as_committed(tmp_path: Path) -> None:
    committed = (GOLDEN / "tuning-service.yaml").read_text()
    assert tuning_service(tmp_path) == committed, "if that is meant: make generate"


@pytest.mark.parametrize("kind", JOBS)
def test_train_job_has_the_fields_of_kubeflows_own_models(kind: str, tmp_path: Path) -> None:
    """The models read what the API has, and leave out the rest: nothing is left out."""
    job = yaml.safe_load(manifest(kind, targets.KUBEFLOW, tmp_path))
    read = TrainerV1alpha1TrainJob.from_dict(job)
    assert read is not None
    assert read.to_dict() == job
    runtimes = list(yaml.safe_load_all((ROOT / "docs" / "training_runtime.yaml").read_text()))
    (runtime,) = (one for one in runtimes if one["metadata"]["name"] == job["spec"]["runtimeRef"]["name"])
    read = TrainerV1alpha1TrainingRuntime.from_dict(runtime)
    assert read is not None
    assert read.to_dict() == runtime
    (replicated,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    patches = job["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    assert [patch["name"] for patch in patches] == [replicated["name"]]


def write(name: str, make: Callable[[Path], str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (GOLDEN / f"{name}.yaml").write_text(make(Path(folder)))
    sys.stdout.write(f"tests/golden/{name}.yaml\n")


if __name__ == "__main__":
    for pipeline in CONFIGS:
        write(pipeline, partial(masked, pipeline, targets.LOCAL))
    for chosen in targets.TARGETS.values():
        write(f"deployment-{chosen.name}", partial(deployment, chosen))
    for job in JOBS:
        for place in PLACES:
            write(f"{job}-{place}", partial(manifest, job, targets.named(place)))
    write("tuning-service", tuning_service)

"""What a Kubeflow server gives a task: artifacts without their type, in any version of KFP that a user may have.

The executor of KFP runs a component's source, which is all that travels, with what a real server gave it
(tests/servers/captured).
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.pipelines.compiling import catalog

CAPTURED = json.loads(
    (Path(__file__).parents[1] / "servers" / "captured" / "executor_input_trainer.json").read_text(encoding="utf-8")
)
RELEASES = ("2.15.2", "2.16.1")  # beside the one that is installed

# Makes each component's artifacts as a task does before its function is called; prints the version and the classes.
MAKE = """
import json, sys
from pathlib import Path
import kfp, yaml
from kfp.dsl.executor import Executor

made = {}
for file in sorted(Path("exported").glob("*/component.yaml")):
    spec = yaml.safe_load(file.read_text())
    (executor,) = spec["deploymentSpec"]["executors"].values()
    (component,) = spec["components"].values()
    def artifacts(kind, type_of, place):
        declared = component.get(kind, {}).get("artifacts", {})
        return {name: {"artifacts": [{"name": "19", "type": type_of(entry), "uri": f"{place}/{name}",
                                      "metadata": {"display_name": name}}]} for name, entry in declared.items()}
    namespace = {}
    exec(executor["container"]["command"][-1], namespace)
    outputs = {"artifacts": artifacts("outputDefinitions", lambda entry: entry["artifactType"], Path.cwd() / "outputs"),
               "outputFile": str(Path("outputs/output_metadata.json").absolute())}
    inputs = {"artifacts": artifacts("inputDefinitions", lambda entry: {"instanceSchema": ""}, "minio://mlpipeline")}
    run = Executor({"inputs": inputs, "outputs": outputs}, namespace[file.parent.name])
    made[file.parent.name] = {name: type(artifact).schema_title for name, artifact in run.input_artifacts.items()}
print(json.dumps([kfp.__version__, made]))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("components")
    assert list(catalog.export(folder / "exported"))
    return folder


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with another release of KFP."""
    folder = tmp_path_factory.mktemp("kfp")
    packages = [f"kfp=={request.param}", f"kfp-pipeline-spec=={request.param.rpartition('.')[0]}.*"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"kfp {request.param} cannot be installed here: {done.stderr.splitlines()[-1]}")
    return folder


def _declared() -> dict[str, dict[str, str]]:
    """The artifacts that each component takes, by what it declares."""
    components = [component for folder in catalog.folders() for component in catalog.components(folder)]
    inputs = {component.python_func.__name__: component.component_spec.inputs or {} for component in components}
    return {
        name: {key: entry.type.partition("@")[0] for key, entry in taken.items() if entry.type.startswith("system.")}
        for name, taken in inputs.items()
    }


def _made(exported: Path, **environment: str) -> tuple[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", MAKE], cwd=exported, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    version, made = json.loads(done.stdout.splitlines()[-1])
    return version, made


def test_every_component_takes_artifacts_without_a_type(exported: Path) -> None:
    _, made = _made(exported, _KFP_RUNTIME="true")
    assert made == _declared()
    assert made["trainer"].keys() >= CAPTURED["inputs"]["artifacts"].keys()
    assert {
        entry["artifacts"][0]["type"].get("instanceSchema") for entry in CAPTURED["inputs"]["artifacts"].values()
    } == {""}, "what is tested is what was captured"


def test_so_it_does_with_older_releases_of_kfp(exported: Path, release: Path) -> None:
    version, made = _made(exported, _KFP_RUNTIME="true", PYTHONPATH=str(release))
    assert version in RELEASES
    assert made == _declared()

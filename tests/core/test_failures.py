"""A task that fails on a cluster: what its log ends with, its exit code, and where its sentence is left."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.core import failures
from penstock.core.errors import DataError
from penstock.core.failures import FAILURE_FILE
from penstock.core.files import object_stores
from penstock.pipelines.compiling import catalog
from tests.servers.object_stores import ObjectStore

# What a pod runs (a compiled component's command), with other places for Kubernetes' file and KFP's scratch folders.
POD = """
import sys
from pathlib import Path
from penstock.core import failures
failures._TERMINATION_LOG = Path(sys.argv.pop(1))
from kfp.dsl import executor_main
from kfp.dsl.types import artifact_types
for name in ("_GCS_LOCAL_MOUNT_PREFIX", "_MINIO_LOCAL_MOUNT_PREFIX", "_S3_LOCAL_MOUNT_PREFIX"):
    assert hasattr(artifact_types, name)
    setattr(artifact_types, name, f"{failures._TERMINATION_LOG.parent}/scratch/")
executor_main.executor_main()
"""
SENTENCE = "push_destination: expected JSON"


class Pod:
    """Runs a component's own source as KFP's executor does, and keeps what it leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.termination_log = folder / "termination-log"
        self.termination_log.touch()

    def run(self, name: str, uri: str, source: str = "", **parameters: Any) -> subprocess.CompletedProcess[str]:
        (component,) = (one for one in catalog.components(name) if one.python_func.__name__ == name)
        module = self.folder / "ephemeral_component.py"
        module.write_text(source or component.component_spec.implementation.container.command[-1])
        outputs = component.component_spec.outputs or {}
        given = {
            "inputs": {
                "artifacts": {
                    key: {"artifacts": [{"name": "1", "type": {"instanceSchema": ""}, "uri": str(self.folder / key)}]}
                    for key, entry in component.component_spec.inputs.items()
                    if entry.type.startswith("system.") and not entry.optional
                },
                "parameterValues": parameters,
            },
            "outputs": {
                "artifacts": {
                    key: {
                        "artifacts": [{"name": key, "type": {"schemaTitle": "system.Artifact"}, "uri": f"{uri}/{key}"}]
                    }
                    for key in outputs
                },
                "outputFile": str(self.folder / "outputs" / "output_metadata.json"),
            },
        }
        command = [sys.executable, "-c", POD, str(self.termination_log), "--component_module_path", str(module)]
        command += ["--executor_input", json.dumps(given), "--function_to_execute", name]
        environment = os.environ | {"_KFP_RUNTIME": "true"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


def test_a_users_mistake_ends_in_its_sentence(pod: Pod, object_store: ObjectStore) -> None:
    uri = object_store.uri("taxi", "run", "pusher", "0f3c")
    done = pod.run("pusher", uri, push_destination="{nonsense")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"penstock: {SENTENCE}"), done.stderr
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert pod.termination_log.read_text() == last.removeprefix("penstock: ")
    with object_stores.open_store(uri) as store:
        left = json.loads(store.read(object_stores.join(uri, FAILURE_FILE)))
    assert left == {"type": "ConfigError", "message": last.removeprefix("penstock: "), "details": "", "exit_code": 2}


def test_where_outputs_have_a_folder_the_word_is_left_there(pod: Pod, tmp_path: Path) -> None:
    """As on Vertex AI, which mounts buckets, or under kfp's own local runner."""
    pod.run("pusher", str(tmp_path / "run"), push_destination="{nonsense")
    assert json.loads((tmp_path / "run" / FAILURE_FILE).read_text())["message"].startswith(SENTENCE)


@pytest.mark.parametrize("uri", ["minio://mlpipeline/v2/artifacts/taxi/run/pusher", "s3://bucket/taxi/run/pusher"])
def test_without_a_way_to_the_store_the_log_is_enough(pod: Pod, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    pod.termination_log.unlink()
    done = pod.run("pusher", uri, push_destination="{nonsense")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr


def test_what_is_no_users_mistake_keeps_its_traceback(pod: Pod, tmp_path: Path) -> None:
    """The component's own source, which lies in the pod, is not shown as the user's."""
    source = (
        "from kfp.dsl import *\n\ndef pusher(pushed_model: Output[Model], model: Input[Model]) -> None:\n"
        "    import penstock.components.pusher\n    raise KeyError('within')\n"
    )
    done = pod.run("pusher", str(tmp_path / "run"), source=source)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1] == "penstock: KeyError: 'within'"
    assert pod.termination_log.read_text() == "KeyError: 'within'"


@pytest.mark.slow
def test_the_users_own_lines_stand_below_the_sentence(
    pod: Pod, tmp_path: Path, write_examples: Callable[..., Path]
) -> None:
    module = tmp_path / "wrong_module.py"
    module.write_text("def run_fn(fn_args):\n    return 1 / 0\n")
    write_examples({split: {"a": [1]} for split in ("train", "eval")})
    done = pod.run("trainer", str(tmp_path / "run"), module_file=str(module), accelerator="none")
    lines = done.stderr.splitlines()
    told = next(index for index, line in enumerate(lines) if line.startswith("penstock: "))
    assert lines[told] == "penstock: run_fn raised ZeroDivisionError: division by zero"
    assert lines[told + 1 :] == [f'    File "{module}", line 2, in run_fn', *lines[told + 2 :]]
    assert "return 1 / 0" in "\n".join(lines[told + 2 :])
    assert done.returncode == 2


def test_what_is_told_is_cut_to_what_kubernetes_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    monkeypatch.setattr(failures, "_TERMINATION_LOG", log)
    with pytest.raises(SystemExit) as ended:
        failures._tell(DataError, DataError("é " * 5000), None)
    assert ended.value.code == 2
    assert log.stat().st_size == 4096

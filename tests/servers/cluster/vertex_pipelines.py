"""A stand-in for Vertex AI Pipelines: the same graphs, with tasks as Vertex AI gives and runs them.

Inputs have their schemas and the metadata store's names, parameters their defaults. Buckets are mounted at /gcs, and
nothing is copied: a task reads and writes there, also outside of its run. There are no scratch folders but /tmp.
"""

import json
import random
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.servers.cluster import gcs_mount, pods
from tests.servers.cluster.launcher import Launcher, with_defaults
from tests.servers.cluster.metadata import Artifact, Metadata, Outputs
from tests.servers.cluster.pods import Container, Namespace
from tests.servers.cluster.processes import ProcessPod
from tests.servers.cluster.storage import LauncherError, local_path
from tests.servers.cluster.workflow import Place, Workflow

PROJECT_NUMBER = "123456789012"
_STORE = f"projects/{PROJECT_NUMBER}/locations/us-central1/metadataStores/default/artifacts"
_STATES = {"RUNNING": "RUNNING", "SUCCEEDED": "SUCCEEDED", "FAILED": "FAILED", "SKIPPED": "SKIPPED"}


@dataclass(frozen=True)
class VertexArtifact(Artifact):
    def as_input(self) -> dict[str, Any]:
        metadata = dict(self.metadata)
        return {"name": f"{_STORE}/{self.number}", "type": dict(self.schema), "uri": self.uri, "metadata": metadata}


class VertexMetadata(Metadata):
    def record(self, name: str, given: Mapping[str, Any], session: str) -> Artifact:
        return VertexArtifact(self._number(), given["uri"], given.get("metadata", {}), given["type"])


class VertexPod(ProcessPod):
    """A task's machine: the buckets at /gcs, and what Vertex AI sets in its containers."""

    scratch_folders: ClassVar[Sequence[str]] = ("/tmp",)

    def __init__(self, endpoint: str, python: str, name: str, folder: Path, container: Container) -> None:
        super().__init__(name, folder, container, python)
        self._mount = gcs_mount.Mount(folder, endpoint, pods.USER)

    @property
    def mounts(self) -> list[pods.Mount]:
        return [*self.scratch, pods.Mount("/gcs", self._mount.folder), *self.container.mounts]

    @property
    def environment(self) -> dict[str, str]:
        pool = "workerpool0"
        spec = {"cluster": {pool: ["127.0.0.1:2222"]}, "environment": "cloud", "task": {"type": pool, "index": 0}}
        own = {"CLOUD_ML_PROJECT_ID": PROJECT_NUMBER, "CLOUD_ML_JOB_ID": "1", "CLUSTER_SPEC": json.dumps(spec)}
        return own | dict(self.container.environment)

    def own(self) -> None:
        """Gives the machine's own disk to its user."""
        for mount in self.scratch:
            subprocess.run(["chown", "-R", f"{pods.USER}:{pods.USER}", str(mount.outside)], check=True)

    def remove(self) -> None:
        self._mount.unmount()
        super().remove()


class VertexLauncher(Launcher):
    """What runs a task's container and reads its outputs from the bucket."""

    def launch(self, executor_input: Mapping[str, Any], component: Mapping[str, Any], command: list[str]) -> Outputs:
        given = with_defaults(json.loads(json.dumps(executor_input)), component)
        terminated = self._pod.run(self._command(given, command), self._pod.folder / "log")
        if terminated.code:
            raise LauncherError(f"The replica workerpool0-0 exited with a non-zero status of {terminated.code}.")
        written = self._output_file(given["outputs"]["outputFile"])
        parameters = self._parameters(given["outputs"], component, written.get("parameterValues", {}))
        artifacts = {}
        for name, one in given["outputs"].get("artifacts", {}).items():
            artifact = dict(one["artifacts"][0])
            for found in written.get("artifacts", {}).get(name, {}).get("artifacts", [])[:1]:
                artifact["uri"] = found.get("uri") or artifact["uri"]
                artifact["metadata"] = artifact.get("metadata", {}) | found.get("metadata", {})
            artifacts[name] = [self._metadata.record(name, artifact, "")]
        return Outputs(parameters, artifacts)


def outputs_of(component: Mapping[str, Any], task_name: str, root: str) -> dict[str, Any]:
    """Returns the outputs of ExecutorInput, as Vertex AI lays them out."""
    folder = f"{root}/{task_name}_-{random.randrange(10**18, 10**19)}"
    declared = component.get("outputDefinitions", {})
    artifacts = {
        name: {
            "artifacts": [
                {
                    "name": f"{_STORE}/{random.randrange(10**19)}",
                    "type": dict(one["artifactType"]),
                    "uri": f"{folder}/{name}",
                    "metadata": {},
                }
            ]
        }
        for name, one in declared.get("artifacts", {}).items()
    }
    parameters = {name: {"outputFile": f"{local_path(folder)}/{name}"} for name in declared.get("parameters", {})}
    found = {
        "artifacts": artifacts,
        "parameters": parameters,
        "outputFile": f"{local_path(folder)}/executor_output.json",
    }
    return {key: value for key, value in found.items() if value}


class VertexPipelines:
    """Runs the PipelineJobs that are created on a VertexAI server that has it as its `pipelines`.

    `python` is the interpreter of the tasks' machines.
    """

    def __init__(self, folder: Path, endpoint: str, python: str) -> None:
        self.workflows: dict[str, Workflow] = {}
        self._place = Place(
            folder,
            None,
            VertexMetadata(),
            Namespace(),
            lambda name, own, container: VertexPod(endpoint, python, name, own, container),
            threading.Semaphore(2),
            attempts=False,
            complete="SUCCEEDED",
            run_root=lambda root, _, run_id: f"{root}/{PROJECT_NUMBER}/{run_id}",
            outputs_of=outputs_of,
            launcher=VertexLauncher,
        )
        self._threads: list[threading.Thread] = []
        self._ends: dict[str, str] = {}
        self._broken: list[BaseException] = []

    def __enter__(self) -> Self:
        self._place.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for workflow in self.workflows.values():
            workflow.stop()
        for thread in self._threads:
            thread.join()
        shutil.rmtree(self._place.folder, ignore_errors=True)
        if self._broken:  # the stand-in's own: a task's failure is none
            raise self._broken[0]

    def start(self, run_id: str, spec: Mapping[str, Any], parameters: Mapping[str, Any], root: str) -> None:
        workflow = Workflow(self._place, run_id, run_id, (spec, {}), {})
        self.workflows[run_id] = workflow

        def work() -> None:
            state = "FAILED"
            try:
                state = workflow.run(parameters, root, run_id)
            except Exception as error:
                self._broken.append(error)
            finally:
                self._ends[run_id] = state

        thread = threading.Thread(target=work, name=run_id)
        self._threads.append(thread)
        thread.start()

    def stop(self, run_id: str) -> None:
        self.workflows[run_id].stop()

    def report(self, run_id: str) -> dict[str, Any]:
        """Returns what a PipelineJob's record has of its state and its tasks."""
        workflow = self.workflows[run_id]
        tasks = [one for one in workflow.tree.snapshot() if _is_task(one["name"], run_id)]
        numbers = {one["name"]: str(number) for number, one in enumerate(tasks, 1)}
        details = []
        for one in tasks:
            parent = numbers.get(one["name"].rpartition(".")[0])
            state = _STATES.get(one["state"] or "", "NOT_TRIGGERED")
            error = {"code": 9, "message": f"The DAG failed because some tasks failed: {one['display_name']}"}
            details.append(
                {
                    "taskId": numbers[one["name"]],
                    "taskName": workflow.pipeline if one["name"].endswith(".root") else one["display_name"],
                    "state": state,
                    "startTime": one["start_time"],
                    **({"endTime": one["end_time"]} if one["end_time"] else {}),
                    **({"parentTaskId": parent} if parent else {}),
                    **({"error": error} if state == "FAILED" else {}),
                }
            )
        state = f"PIPELINE_STATE_{self._ends.get(run_id, 'RUNNING')}"
        return {"state": state, "jobDetail": {"taskDetails": details}}


def _is_task(name: str, run_id: str) -> bool:
    last = name.rpartition(".")[2]
    return name != run_id and last != "executor" and not last.endswith("-driver")

"""Where a task does its work: on this machine, or in a job of several workers that it starts and waits for.

A target that starts workers names their job in the variable PENSTOCK_WORKERS (pipelines/targets/jobs.py). The job's
name follows from the place of the task's first output, which no other task has: a task that is tried again follows the
job that its earlier attempt has started, and starts another only if that one failed.

All workers must see the inputs, and the chief writes where this task's outputs are. On Vertex AI these are folders of
buckets, below /gcs in tasks and workers alike. Kubeflow brings them into the task's own container, so there they go
through a folder of a shared volume, which is removed when the job has succeeded.
"""

import hashlib
import importlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from penstock.components.jobs import follow
from penstock.components.jobs.follow import Metadata
from penstock.core import artifacts, progress
from penstock.core.artifacts import TaskResult
from penstock.core.errors import ConfigError
from penstock.core.files import atomic

VARIABLE = "PENSTOCK_WORKERS"
logger = logging.getLogger(__name__)


class TargetJob(TypedDict):
    """The JSON in PENSTOCK_WORKERS: the job that a target starts, its place on Vertex AI, or the volume on Kubeflow."""

    target: Literal["vertex", "kubeflow"]
    job: dict[str, Any]
    connection: NotRequired[dict[str, Any]]
    shared: NotRequired[str]


@dataclass(frozen=True)
class Work:
    """What a component's task does, alone or by its workers: its executor's run, and which arguments are places.

    component: the component's name, such as trainer; title: as its task is called; verb: what it does, as in "trains".
    inputs: folders that are read. outputs: folders that the chief writes; the first names the job, and beside the last
        one workers say how it went. files: outputs that are files.
    kept: an argument that names a folder which outlives the job; "" for none.
    last: names of files that are copied last, for readers that watch for them.
    """

    component: str
    title: str
    verb: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    files: tuple[str, ...] = ()
    kept: str = ""
    last: tuple[str, ...] = ()

    def job_name(self, place: str) -> str:
        """Returns the name of the job that writes to this place: letters, digits and a dash, 24 at most in all."""
        return f"{self.component}-{hashlib.sha256(place.encode()).hexdigest()[:16]}"


def run(work: Work, workers: int, arguments: Mapping[str, Any]) -> Any:
    """Does as the executor's run does, with its arguments, on `workers` machines where the target starts them.

    Raises what the executor does, also for a worker; a ConfigError for a place that the workers would not see, a
    ServerError or ServerUnavailable if the job cannot be started or followed.
    """
    text = os.environ.get(VARIABLE, "")
    if workers > 1 and text:
        with progress.task(work.title):
            metadata = _together(work, json.loads(text), arguments)
        return TaskResult({key: artifacts.metadata(**metadata.get(key, {})) for key in work.outputs})
    if workers > 1:
        logger.info("%d workers are asked for, and nothing here starts them: this machine %s alone", workers, work.verb)
    return importlib.import_module(f"penstock.components.{work.component}.executor").run(**arguments)


def _together(work: Work, target: TargetJob, arguments: Mapping[str, Any]) -> Metadata:
    """Starts the job and follows it; returns what its chief said of the outputs."""
    name = work.job_name(arguments[work.outputs[0]])
    if target["target"] == "vertex":
        from penstock.components.jobs.vertex import CustomJobs

        require_buckets(arguments, (*work.inputs, *work.outputs, *work.files))
        if work.kept:
            _require_bucket(work.kept, arguments[work.kept], atomic.local_path(arguments[work.kept]), "pipeline_root")
        jobs = CustomJobs(target["connection"], target["job"])
        # Beside the outputs, not in one: what the chief said stays there, for another attempt of this task.
        return follow.follow(jobs, name, lambda: dict(arguments), Path(arguments[work.outputs[-1]]).parent)
    from penstock.components.jobs.kubeflow import TrainJobs

    shared = _shared(work, target["shared"]) / "penstock"
    folder = shared / name
    metadata = follow.follow(TrainJobs(target["job"]), name, lambda: _put(work, shared, name, arguments), folder)
    for key in work.outputs:
        atomic.copy_tree(folder / key, Path(arguments[key]), last=work.last)
    for key in work.files:
        with atomic.replacing(Path(arguments[key])) as temporary:
            shutil.copyfile(folder / key, temporary)
    shutil.rmtree(folder, ignore_errors=True)
    return metadata


def require_buckets(arguments: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Raises a ConfigError for the first of these arguments, paths, that only this task would see on Vertex AI."""
    for key in keys:
        if arguments.get(key):
            _require_bucket(key, arguments[key], Path(arguments[key]))


def _require_bucket(key: str, place: str, path: Path, setting: str = "vertex.pipeline_root") -> None:
    if not atomic.in_bucket(path, "gs"):
        raise ConfigError(
            f"{key}: expected a folder of a bucket, below /gcs, which all workers see, received {place}: give a gs:// "
            f"place as {setting}"
        )


def _shared(work: Work, mount: str) -> Path:
    if not Path(mount).is_dir():
        raise ConfigError(f"kubernetes.{work.component}.volumes: {mount} is not mounted into the {work.title}'s task")
    return Path(mount)


def _put(work: Work, shared: Path, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Copies the inputs to where all workers see them; returns the arguments with these places in them."""
    changed, folder = dict(arguments), shared / name
    for key in work.inputs:
        if arguments.get(key):
            atomic.copy_tree(Path(arguments[key]), folder / key)
            changed[key] = str(folder / key)
    for key in (*work.outputs, *work.files):
        changed[key] = str(folder / key)
    for key in work.outputs:
        (folder / key).mkdir(parents=True, exist_ok=True)
    if work.kept:
        changed[work.kept] = str(shared / work.component)
    return changed

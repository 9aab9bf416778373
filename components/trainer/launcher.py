"""Where the Trainer trains: in this task, or in a job of several workers that this task starts and waits for.

A target that starts workers names their job in the variable PENSTOCK_WORKERS (pipelines/workers.py). The job's name
follows from the place of the model, which no other task has: a task that is tried again follows the job that its
earlier attempt has started, and starts another only if that one failed.

All workers must see the inputs, and the chief writes where this task's outputs are. On Vertex AI these are folders of
buckets, below /gcs in tasks and workers alike. Kubeflow brings them into the task's own container, so there they go
through a folder of a shared volume, which is removed when the job has succeeded.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.components import progress, storage
from penstock.components.errors import ConfigError
from penstock.components.trainer import following
from penstock.components.trainer.result import Result, trained

VARIABLE = "PENSTOCK_WORKERS"
_INPUTS = ("examples", "transform_graph", "schema", "statistics", "base_model", "hyperparameters")
_OUTPUTS = ("model", "model_run")
logger = logging.getLogger(__name__)


def run(*, workers: int, **arguments: Any) -> Result:
    """Trains as executor.run does, with its arguments, on `workers` machines where the target starts them.

    Raises what executor.run does, also for a worker; a ConfigError for a place that the workers would not see, a
    ServerError or ServerUnavailable if the job cannot be started or followed.
    """
    text = os.environ.get(VARIABLE, "")
    if workers > 1 and text:
        with progress.task("Trainer"):
            _train_together(json.loads(text), arguments)
        return trained()
    if workers > 1:
        logger.info("%d workers are asked for, and nothing here starts them: this machine trains alone", workers)
    from penstock.components.trainer import executor

    return executor.run(**arguments)


def job_name(model: str) -> str:
    """Returns the name of the job that trains the model of this place: letters, digits and a dash, 24 in all."""
    return f"trainer-{hashlib.sha256(model.encode()).hexdigest()[:16]}"


def _train_together(described: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    name = job_name(arguments["model"])
    if described["target"] == "vertex":
        from penstock.components.trainer.vertex_job import CustomJobs

        for key in (*_INPUTS, *_OUTPUTS):
            if arguments.get(key) and not storage.in_bucket(Path(arguments[key]), "gs"):
                raise ConfigError(
                    f"{key}: expected a folder of a bucket, below /gcs, which all workers see, received "
                    f"{arguments[key]}: give a gs:// place as vertex.pipeline_root"
                )
        jobs = CustomJobs(described["connection"], described["job"])
        following.follow(jobs, name, lambda: dict(arguments), Path(arguments["model_run"]))
        return
    from penstock.components.trainer.kubeflow_job import TrainJobs

    folder = _shared(described["shared"]) / "penstock" / name
    following.follow(TrainJobs(described["job"]), name, lambda: _put(folder, arguments), folder / "model_run")
    for key in _OUTPUTS:
        storage.copy_tree(folder / key, Path(arguments[key]), last=("saved_model.pb",))
    shutil.rmtree(folder, ignore_errors=True)


def _shared(mount: str) -> Path:
    if not Path(mount).is_dir():
        raise ConfigError(f"kubernetes.trainer.volumes: {mount} is not mounted into the Trainer's task")
    return Path(mount)


def _put(folder: Path, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Copies the inputs to where all workers see them; returns the arguments with these places in them."""
    changed = dict(arguments)
    for key in _INPUTS:
        if arguments.get(key):
            storage.copy_tree(Path(arguments[key]), folder / key)
            changed[key] = str(folder / key)
    for key in _OUTPUTS:
        (folder / key).mkdir(parents=True, exist_ok=True)
        changed[key] = str(folder / key)
    return changed

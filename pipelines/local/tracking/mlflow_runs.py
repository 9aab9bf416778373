"""A run in MLflow: logged by a process of its own, which `log` starts, from what the run's folder holds.

So the runner neither imports MLflow nor is held up by it for longer than its patience, and MLflow sees only what the
record has, in which credentials are masked.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.components.trainer import epochs
from penstock.core import artifacts, page
from penstock.core.errors import ModelError
from penstock.pipelines.local import results
from penstock.pipelines.local.records import reasons, record
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.tracking import messages

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

VARIABLE = "MLFLOW_TRACKING_URI"
_EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
_PATIENCE = 600.0  # seconds that all of it may take: a model may be large
# MLflow's own are two minutes a request and seven tries, which a run would wait for if the server is away.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# MLflow's limits.
_LONGEST_NAME, _LONGEST_VALUE, _LONGEST_TAG = 250, 6000, 5000
_MOST_PARAMS, _MOST_METRICS = 100, 1000
_STATUS = {"done": "FINISHED", "failed": "FAILED"}
_MODEL, _SAVED_MODEL = "model", "saved_model"


def log(run: RunRecord) -> None:
    """Logs a run that has ended to MLflow, if MLFLOW_TRACKING_URI is set; says where it is, or warns why it is not."""
    if not os.environ.get(VARIABLE):
        return
    if importlib.util.find_spec("mlflow") is None:
        messages.warn(messages.not_installed(VARIABLE, "mlflow"))
        return
    command = [sys.executable, "-P", "-m", __name__, str(run.folder)]
    environment = {**_DEFAULTS, **os.environ}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        messages.warn(f"the run is not in MLflow, or not all of it: {messages.reason(error)}")
        return
    output, errors = done.stdout.splitlines(), done.stderr.splitlines()
    if done.returncode == 0 and output:
        messages.note(f"logged to MLflow: {output[-1]}")
    else:
        why = errors[-1] if errors else f"MLflow ended with exit code {done.returncode}"
        messages.warn(f"the run is not in MLflow, or not all of it: {why}")


def _log(run: RunRecord) -> str:
    """Logs a run; returns where it is to be seen."""
    from mlflow import MlflowClient

    client = MlflowClient()
    name = os.environ.get(_EXPERIMENT) or run.name
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
    started = round(run.started * 1000)
    logged = client.create_run(experiment_id, start_time=started, run_name=run.folder.name, tags=_tags(run))
    run_id = logged.info.run_id
    ended = started + round((run.seconds or 0.0) * 1000)
    try:
        for params in batched(_params(run), _MOST_PARAMS):
            client.log_batch(run_id, params=list(params))
        for metrics in batched(_metrics(run, ended), _MOST_METRICS):
            client.log_batch(run_id, metrics=list(metrics))
        _log_files(client, run_id, run)
    finally:  # whatever was refused, the run does not go on
        client.set_terminated(run_id, _STATUS[run.status], ended)
    address = os.environ[VARIABLE].rstrip("/")
    if not address.startswith("http"):
        return f"run {run_id} in {address}"
    return f"{address}/#/experiments/{experiment_id}/runs/{run_id}"


def _tags(run: RunRecord) -> dict[str, str]:
    versions = ", ".join(f"{one.place} (version {one.version})" for one in run.pushed())
    tags = {
        "mlflow.source.git.commit": run.origin.commit,
        "penstock.version": metadata.version("penstock"),
        "penstock.folder": str(run.folder),
        "penstock.status": run.status,
        "penstock.verdict": results.verdict(run),
        "penstock.pushed": versions,
        "penstock.main_metric": results.evaluated(run)[0],
        "penstock.cache": _from_cache(run),
    }
    if run.origin.commit:
        tags["penstock.git.edited"] = json.dumps(run.origin.edited)
    return {name: value[:_LONGEST_TAG] for name, value in tags.items() if value}


def _from_cache(run: RunRecord) -> str:
    """Says how many tasks were answered from the cache, of those that may be."""
    may_be = [task for task in run.tasks if task.status != "skipped" and task.reason != reasons.NEVER_CACHED]
    cached = sum(task.status == "cached" for task in may_be)
    share = f"all {cached}" if cached == len(may_be) else f"{cached} of {len(may_be)}"
    return f"{share} cacheable tasks came from the cache"


def _params(run: RunRecord) -> "Iterator[Param]":
    """Yields the keys of the configuration, and the pipeline's parameters."""
    from mlflow.entities import Param

    values = dict(_flat("", run.origin.configuration)) | dict(_flat("parameters", run.arguments))
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield Param(name, text[:_LONGEST_VALUE])


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(f"{path}.{key}".lstrip("."), part)
    elif path:
        yield _name(path), value


def _metrics(run: RunRecord, ended: int) -> "Iterator[Metric]":
    """Yields what was measured over all examples, per split of each model, and after each epoch."""
    from mlflow.entities import Metric

    of_the_run = results.result(run)
    values = dict(of_the_run["metrics"]) | {"rows": of_the_run["rows"], "seconds": run.seconds}
    for summary in run.evaluations():
        for numbers in summary["numbers"]:
            model = "" if numbers["model"] == "candidate" else f"{numbers['model']}/"
            for name, measure in numbers["metrics"].items():
                values[f"{model}{numbers['split']}/{name}"] = measure["value"]
    for name, value in values.items():
        if value is not None:
            yield Metric(_name(name), float(value), ended, 0)
    for artifact in run.artifacts():
        history = epochs.read(artifact.path) if artifact.name == "model_run" else None
        if not history:
            continue
        for epoch in history.epochs:
            for name, value in epoch.measured.items():
                if value is not None:
                    yield Metric(_name(f"{artifact.task.name}/{name}"), value, ended, epoch.epoch)


def _name(name: str) -> str:
    """Returns a name as MLflow takes it: a path of letters, digits and a few signs."""
    plain = re.sub(r"[^\w\-. /]", "_", name)
    return "/".join(part for part in plain.split("/") if part not in ("", ".", ".."))[:_LONGEST_NAME]


def _log_files(client: "MlflowClient", run_id: str, run: RunRecord) -> None:
    """Logs the report, the configuration and the model."""
    if (run.folder / page.FILE).is_file():
        client.log_artifact(run_id, str(run.folder / page.FILE))
    client.log_dict(run_id, run.origin.configuration, "configuration.yaml")
    for artifact in run.made("model"):
        try:
            model = artifacts.Model(artifact.path).serving_model()
        except ModelError:  # estimators have exported several
            continue
        if model:
            client.log_artifacts(run_id, str(model), f"{_MODEL}/{_SAVED_MODEL}")
            if artifacts.SavedModel(model).exists:
                client.log_text(run_id, _mlmodel(run_id), f"{_MODEL}/MLmodel")
        return


def _mlmodel(run_id: str) -> str:
    """Returns the description that mlflow.tensorflow.load_model reads, of a SavedModel beside it."""
    flavor = {"model_type": "tf2-module", "saved_model_dir": _SAVED_MODEL, "code": None}
    description = {"artifact_path": _MODEL, "run_id": run_id, "flavors": {"tensorflow": flavor}}
    return json.dumps(description, indent=1)  # which is YAML


def main(arguments: Iterable[str]) -> None:
    """Logs the run of a folder, and prints where it is to be seen; what fails ends the process with one line."""
    (folder,) = arguments
    try:
        print(_log(record.read(Path(folder))))
    except Exception as error:  # whatever the library or the server says, the run has ended well or not already
        sys.exit(messages.reason(error))


if __name__ == "__main__":
    main(sys.argv[1:])

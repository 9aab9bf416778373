"""Starts the Tuner's search: in this task, in a job of several workers (penstock.components.jobs), or on Vertex AI's
tuning service (vertex_search.py), whose job this task starts and follows as well.
"""

import json
import os
from typing import Any

from penstock.components.jobs import launcher
from penstock.core.artifacts import TaskResult

SERVICE = "PENSTOCK_TUNING_SERVICE"  # the variable with the service's connection and job, as JSON
WORK = launcher.Work(
    component="tuner",
    title="Tuner",
    verb="searches",
    inputs=("examples", "transform_graph", "schema", "statistics", "base_model", "raw_examples"),
    outputs=("best_hyperparameters", "tuner_results"),
    files=("report",),
    kept="working_dir",
)


def run(*, workers: int, **arguments: Any) -> TaskResult:
    """Searches as executor.run does, with its arguments; on `workers` machines, if the target can start them.

    A tuning service ignores `workers`: its job already says how many trials run at a time.
    """
    service = os.environ.get(SERVICE, "")
    if service:
        from penstock.components.tuner import vertex_search

        return vertex_search.run(json.loads(service), WORK.job_name(arguments["best_hyperparameters"]), arguments)
    return launcher.run(WORK, workers, {**arguments, "own_process": True})  # type: ignore[no-any-return]

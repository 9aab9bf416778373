"""Where the Tuner searches: in this task, or by a service of the target that this task starts and follows."""

import json
import os
from typing import Any

from penstock.components.workers import launcher

SERVICE = "PENSTOCK_TUNING_SERVICE"  # the variable that describes the service's job
WORK = launcher.Work(
    component="tuner",
    title="Tuner",
    verb="searches",
    inputs=("examples", "transform_graph", "schema", "statistics", "base_model", "raw_examples"),
    outputs=("best_hyperparameters", "tuner_results"),
    files=("report",),
)


def run(**arguments: Any) -> Any:
    """Searches as executor.run does, with its arguments, by the target's own service where it says so."""
    service = os.environ.get(SERVICE, "")
    if service:
        from penstock.components.tuner import vertex_search

        return vertex_search.run(json.loads(service), WORK.job_name(arguments["best_hyperparameters"]), arguments)
    from penstock.components.tuner import executor

    return executor.run(**arguments)

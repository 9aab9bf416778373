"""Where the Tuner searches: in this task, in a job of several workers (penstock.components.jobs), or by the target's
own tuning service (vertex_search.py), whose job this task starts and follows as well.
"""

import json
import os
from typing import Any

from penstock.components.jobs import launcher

SERVICE = "PENSTOCK_TUNING_SERVICE"  # the variable that describes the service's job
WORK = launcher.Work(
    component="tuner",
    title="Tuner",
    verb="searches",
    inputs=("examples", "transform_graph", "schema", "statistics", "base_model", "raw_examples"),
    outputs=("best_hyperparameters", "tuner_results"),
    files=("report",),
    kept="working_dir",
)


def run(*, workers: int, **arguments: Any) -> Any:
    """Searches as executor.run does, with its arguments, on `workers` machines where the target starts them.

    Where the target's service searches, its job has the number of them already: so many trials run at a time.
    """
    service = os.environ.get(SERVICE, "")
    if service:
        from penstock.components.tuner import vertex_search

        return vertex_search.run(json.loads(service), WORK.job_name(arguments["best_hyperparameters"]), arguments)
    return launcher.run(WORK, workers, {**arguments, "own_process": True})

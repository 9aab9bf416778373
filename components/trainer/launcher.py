"""Where the Trainer trains: in this task, or in a job of several workers (penstock.components.jobs)."""

from typing import Any

from penstock.components.jobs import launcher
from penstock.core.artifacts import SavedModel

WORK = launcher.Work(
    component="trainer",
    title="Trainer",
    verb="trains",
    inputs=("examples", "transform_graph", "schema", "statistics", "base_model", "hyperparameters"),
    outputs=("model", "model_run"),
    last=(SavedModel.FILE,),
)


def run(*, workers: int, **arguments: Any) -> Any:
    """Trains as executor.run does, with its arguments, on `workers` machines where the target starts them."""
    return launcher.run(WORK, workers, arguments)

"""Starts the Trainer's executor: in this task, or in a job of several workers (penstock.components.jobs)."""

from typing import Any

from penstock.components.jobs import launcher
from penstock.core.artifacts import SavedModel, TaskResult

WORK = launcher.Work(
    component="trainer",
    title="Trainer",
    verb="trains",
    inputs=("examples", "transform_graph", "schema", "statistics", "base_model", "hyperparameters"),
    outputs=("model", "model_run"),
    last=(SavedModel.FILE,),
)


def run(*, workers: int, **arguments: Any) -> TaskResult:
    """Trains as executor.run does, with its arguments; on `workers` machines, if the target can start them."""
    return launcher.run(WORK, workers, arguments)  # type: ignore[no-any-return]

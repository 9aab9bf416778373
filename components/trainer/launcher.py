"""Where the Trainer trains: in this task, or in a job of several workers (penstock.components.jobs)."""

from typing import Any

from penstock.components.jobs import launcher

WORK = launcher.Work(
    component="trainer",
    title="Trainer",
    verb="trains",
    inputs=("examples", "transform_graph", "schema", "statistics", "base_model", "hyperparameters"),
    outputs=("model", "model_run"),
    last=("saved_model.pb",),
)


def run(*, workers: int, **arguments: Any) -> Any:
    """Trains as executor.run does, with its arguments, on `workers` machines where the target starts them."""
    return launcher.run(WORK, workers, arguments)

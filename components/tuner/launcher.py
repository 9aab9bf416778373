"""Where the Tuner searches: in this task, or in a job of several workers (penstock.components.workers)."""

from typing import Any

from penstock.components.workers import launcher

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
    """Searches as executor.run does, with its arguments, on `workers` machines where the target starts them."""
    return launcher.run(WORK, workers, arguments)

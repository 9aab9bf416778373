"""Starts the Trainer's executor: in this task, or in a job of several workers (penstock.components.jobs)."""

from pathlib import Path
from typing import Any

from penstock.components.jobs import launcher
from penstock.core.artifacts import SavedModel, TaskResult

WORK = launcher.Work(
    component="trainer",
    title="Trainer",
    verb="trains",
    inputs=("examples", "transform_graph", "schema", "statistics", "base_model", "hyperparameters", "cleaning"),
    outputs=("model", "model_run"),
    last=(SavedModel.FILE,),
)


def run(*, workers: int, report: str, **arguments: Any) -> TaskResult:
    """Trains as executor.run does, with its arguments; on `workers` machines, if the target can start them.

    report: HTML file to write about the training, of what is in model_run then.
    """
    result: TaskResult = launcher.run(WORK, workers, arguments)
    from penstock.components.trainer import event_files
    from penstock.components.trainer.report import write as write_report

    model_run = Path(arguments["model_run"])
    event_files.record(model_run)
    write_report(Path(report), model_run)
    return result

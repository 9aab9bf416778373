"""What models learnt, in a line or two at a run's end."""

from collections.abc import Iterator

from penstock.components.trainer import columns, epochs
from penstock.pipelines.local.records.record import RunRecord


def lines(run: RunRecord) -> Iterator[str]:
    """Yields what each model without code learnt from, the epochs, and what was measured on the eval split.

    Of a model with code, which chooses what it tells, the metrics of the Evaluator are enough.
    """
    for artifact in run.artifacts():
        learnt_from = columns.line(artifact.path) if artifact.name == "model_run" else ""
        if learnt_from:
            yield f"{artifact.task.name}: {learnt_from}"
            if history := epochs.read(artifact.path):
                scale = epochs.scale(history.measures, columns.label(artifact.path))
                yield f"{artifact.task.name}: {epochs.summary(history, scale)}"

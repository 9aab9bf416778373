"""What models learnt, in a line or two at a run's end."""

from collections.abc import Iterator

from penstock.components.trainer import columns, epochs
from penstock.pipelines.local.records.record import RunRecord


def lines(run: RunRecord) -> Iterator[str]:
    """Yields what each model without code learnt from, the epochs, and what was measured on the eval split."""
    for artifact in run.artifacts():
        if artifact.name == "model_run":
            history = epochs.read(artifact.path)
            for line in (columns.line(artifact.path), epochs.summary(history) if history else ""):
                if line:
                    yield f"{artifact.task.name}: {line}"

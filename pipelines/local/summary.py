"""What came of a run, for who started it."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.core import errors
from penstock.core.errors import PenstockError, SystemFailure, UserError
from penstock.pipelines.local.failure_text import failure_text
from penstock.pipelines.local.records.record import RunRecord, TaskRecord


@dataclass(frozen=True)
class RunSummary:
    """What came of a run. Its record, in the folder, says the rest."""

    run_folder: Path
    tasks: list[TaskRecord]
    status: str
    seconds: float
    failure: str | None = None
    exit_code: int = 0

    @classmethod
    def of(cls, run: RunRecord, sources: dict[str, str]) -> "RunSummary":
        """Returns what came of a run that has ended; `sources` are as in the orchestrator's `run`."""
        failed = _failed(run.tasks)
        return cls(
            run.folder,
            run.tasks,
            run.status,
            run.seconds or 0.0,
            failure_text(failed, run.folder, sources) if failed else None,
            failed.failure["exit_code"] if failed and failed.failure else 0,
        )

    @property
    def error(self) -> PenstockError | None:
        """The error of the task that failed, of its kind if that is one of ours; None of a run that is done."""
        if self.status == "done":
            return None
        failed = _failed(self.tasks)
        kind = getattr(errors, failed.failure["type"], None) if failed and failed.failure else None
        if not (isinstance(kind, type) and issubclass(kind, PenstockError)):
            kind = UserError if self.exit_code == UserError.exit_code else SystemFailure
        message, _, details = (self.failure or "the run ended early").partition("\n")
        error: PenstockError = kind(message, textwrap.dedent(details))
        return error


def _failed(tasks: Sequence[TaskRecord]) -> TaskRecord | None:
    return next((task for task in tasks if task.status == "failed"), None)

"""What the tasks of a run warned of: the warnings of our own modules, read in their logs, and rows that moved."""

import re
from collections.abc import Iterator

from penstock.pipelines.local.processes.task import LOG_FILE
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.report import moved_rows

_SHOWN = 10
_WARNING = re.compile(r"^[\d-]+ [\d:,]+ WARNING penstock\.[\w.]+: (.+)$", re.MULTILINE)


def warnings(run: RunRecord) -> Iterator[tuple[str, str]]:
    """Yields the name of a task and a sentence, each once. A cached task's are those of the run that it is from.

    Those that tell what moved rows to other splits since the run before come first.
    """
    yield from moved_rows.warnings(run)
    for task in run.tasks:
        try:
            log = (run.folder / task.name / LOG_FILE).read_text(encoding="utf-8", errors="replace")
        except OSError:  # it did not run
            continue
        for sentence in dict.fromkeys(_WARNING.findall(log)):
            yield task.name, sentence


def lines(run: RunRecord) -> Iterator[str]:
    """Yields the warnings as they are told at a run's end."""
    sentences = list(warnings(run))
    for task, sentence in sentences[:_SHOWN]:
        yield f"warning: {task}: {sentence}"
    if len(sentences) > _SHOWN:
        yield f"and {len(sentences) - _SHOWN} more warnings, in the report"

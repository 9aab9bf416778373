"""What a person reads of a failed task, with the paths of the person's own files in place of their copies."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from penstock.core import page
from penstock.core.files import module_files
from penstock.pipelines.local.processes.task import LOG_FILE
from penstock.pipelines.local.records.record import TaskRecord
from penstock.pipelines.local.report import pages


def failure_text(task: TaskRecord, run_folder: Path, sources: dict[str, str]) -> str:
    """Names the task, the cause in one sentence, the user's own lines, and the log. Paths are the user's own."""
    message, details = (task.failure["message"], task.failure["details"]) if task.failure else ("", "")
    lines = [f"{task.name} failed: {message}", *(f"  {line}" for line in details.splitlines())]
    text = "\n".join(lines)
    stayed = [path for copy, own in sources.items() for path in _left_behind(text, copy, own)]
    for published, own in (sources | _pages(task, run_folder)).items():
        text = text.replace(published, own)
    for path in dict.fromkeys(stayed):
        text += (
            f"\n  {path} is on this machine, but does not travel with the module: beside code only files of the "
            f"module's own folder or package do, up to {module_files.LARGEST >> 20} MiB each; move it there, or give "
            "its path or URI in custom_config"
        )
    return f"{text}\n  log: {run_folder / task.name / LOG_FILE}"


def _left_behind(text: str, copy: str, own: str) -> Iterator[str]:
    """Yields the user's files and folders that a text names, by their places relative to a module, where its copy is.

    Such a place may be above the copy: a module may go to a folder beside its own by `..`.
    """
    store = os.path.dirname(os.path.dirname(copy))  # the pipeline root
    pattern = re.escape(store)
    for match in re.finditer(rf"'({pattern}/[^'\n]+)'|({pattern}/[^\s'\",:;]+)", text):
        path = match[1] or match[2]
        source = os.path.normpath(os.path.join(own, os.path.relpath(path, copy)))
        if os.path.exists(source) and not os.path.exists(path):
            yield source


def _pages(task: TaskRecord, run_folder: Path) -> dict[str, str]:
    """Maps the pages that a task wrote to the run's report, which shows them: their names have no suffix."""
    uris = (output["uri"] for output in task.outputs.values())
    return {uri: str(run_folder / page.FILE) for uri in uris if pages.is_page(Path(uri))}

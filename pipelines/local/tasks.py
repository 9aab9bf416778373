"""One task of a local run: answered from the cache, or run by a warm worker. This is what kfp.local calls."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kfp import local
from kfp.local import status, subprocess_task_handler, task_handler_interface

from penstock.components import storage
from penstock.pipelines.local import cache, reasons
from penstock.pipelines.local.cache import Key
from penstock.pipelines.local.display import Display, read_counts
from penstock.pipelines.local.record import RunRecord, TaskRecord
from penstock.pipelines.local.worker import FAILURE_FILE, Task, Worker


@dataclass
class Tasks:
    """Runs the tasks of one run, and keeps its record.

    `cacheable` says by task name what the compiled pipeline says of caching; `before` has the keys of earlier runs.
    """

    root: Path
    record: RunRecord
    display: Display
    worker_for: Callable[[str], Worker]
    cacheable: Callable[[str], bool]
    before: dict[str, Key]
    use_cache: bool = True
    _keys: dict[Path, str] = field(default_factory=dict)

    def run(self, task: Task) -> bool:
        """Runs a task; returns whether it succeeded. The record is written before and after."""
        name = task.folder.name
        key = cache.key(task, self.root, self._keys)
        row = TaskRecord(name, "running", key=asdict(key), inputs=_uris(task, "inputs"))
        self.record.folder = task.folder.parent
        self.record.tasks.append(row)
        cacheable = self.cacheable(name)
        row.reason = self._reason(key, name, row) if cacheable else "never cached: it looks at the world outside"
        started = time.monotonic()
        if cacheable:
            self._keys[task.folder] = key.digest
            if self.use_cache:
                source = cache.restore(self.root, key.digest, task.folder)
                if source:
                    row.status, row.reason = "cached", f"unchanged since {source.parent.name}"
        if row.status == "running":
            self._execute(task, row)
            if row.status == "done" and cacheable:
                cache.store(self.root, key.digest, task.folder)
        row.seconds, row.counts = round(time.monotonic() - started, 3), read_counts(task.folder)
        row.outputs = _outputs(task)
        self.display.end(row)
        self.record.write()
        return row.status != "failed"

    def _execute(self, task: Task, row: TaskRecord) -> None:
        self.record.write()
        self.display.start(row, task.folder)
        try:
            code = self.worker_for(task.function).run(task)
        finally:
            self.display.pause()
        row.status = "failed" if code else "done"
        if code:
            row.failure = _failure(task.folder, code)

    def _reason(self, key: Key, name: str, row: TaskRecord) -> str:
        made_by = {
            entry: Path(uris[0]).parent.name
            for entry, uris in row.inputs.items()
            if uris and Path(uris[0]).parent.parent == self.record.folder
        }
        if not self.use_cache and self.before.get(name) == key:
            return "the cache was not asked"
        return reasons.reason(key, self.before.get(name), made_by)


class _Handler(task_handler_interface.ITaskHandler):  # type: ignore[misc]
    """Stands in for kfp.local's SubprocessTaskHandler, which would start an interpreter for each task."""

    tasks: Tasks

    def __init__(self, image: str, full_command: list[str], pipeline_root: str, runner: Any, env_vars: Any = None):
        program = full_command.index("--executor_input")
        self._task = Task(
            function=full_command[full_command.index("--function_to_execute") + 1],
            source=full_command[program - 1],
            executor_input=json.loads(full_command[program + 1]),
            environment=dict(env_vars or {}),
        )

    def run(self) -> status.Status:
        return status.Status.SUCCESS if self.tasks.run(self._task) else status.Status.FAILURE


@contextlib.contextmanager
def in_place_of_subprocesses(tasks: Tasks, pipeline_root: Path) -> Iterator[None]:
    """Makes kfp.local run its tasks through `tasks`. kfp looks the handler's class up by this name at every task."""
    handler = type("_RunHandler", (_Handler,), {"tasks": tasks})
    original = subprocess_task_handler.SubprocessTaskHandler
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(pipeline_root))
    subprocess_task_handler.SubprocessTaskHandler = handler
    try:
        yield
    finally:
        subprocess_task_handler.SubprocessTaskHandler = original


def _uris(task: Task, side: str) -> dict[str, list[str]]:
    artifacts = task.executor_input.get(side, {}).get("artifacts", {})
    return {name: [artifact["uri"] for artifact in given["artifacts"]] for name, given in artifacts.items()}


def _outputs(task: Task) -> dict[str, dict[str, Any]]:
    """Returns uri and metadata of each output artifact: what the task wrote, else what it was given to write to."""
    outputs = {name: {"uri": uris[0], "metadata": {}} for name, uris in _uris(task, "outputs").items() if uris}
    path = Path(task.executor_input["outputs"]["outputFile"])
    if path.exists():
        for name, given in json.loads(path.read_text()).get("artifacts", {}).items():
            artifact = given["artifacts"][0]
            outputs[name] = {"uri": artifact["uri"], "metadata": artifact.get("metadata", {})}
    return outputs


def _failure(folder: Path, code: int) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / FAILURE_FILE).read_text()))
    except (OSError, ValueError):
        pass
    if code < 0:
        message = f"the task was killed (signal {-code}), most likely for memory: give it more, or less data at once"
    else:
        message = "the task ended without saying why"
    failure = {"type": "WorkerLost", "message": message, "details": "", "exit_code": 1 if code < 0 else code}
    with contextlib.suppress(OSError):
        storage.write_text(folder / FAILURE_FILE, json.dumps(failure))
    return failure

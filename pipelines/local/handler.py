"""One task of a local run: answered from the cache, or run by a warm worker. This is what kfp.local calls."""

import contextlib
import errno
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from kfp import local
from kfp.local import config, status, subprocess_task_handler, task_handler_interface

from penstock.core.artifacts import InfraValidation
from penstock.core.credentials import masks
from penstock.core.errors import WorkerLost, address_space
from penstock.core.failures import FAILURE_FILE, Failure, describe, is_full, read_failure
from penstock.core.files import atomic, temporary
from penstock.core.tasks import executor_output
from penstock.pipelines import registry
from penstock.pipelines.local.processes.task import DISK_FULL, LOG_FILE, Task, clear
from penstock.pipelines.local.records import cache, reasons, record
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.reasons import Reason
from penstock.pipelines.local.records.record import Output, RunRecord, TaskRecord
from penstock.pipelines.local.report.display import Display, read_counts
from penstock.pipelines.local.tracking.lineage import Lineage

_MODEL_RUN = "model_run"  # TFX's name of what a Trainer writes while it trains


class Workers(Protocol):
    """What runs tasks: processes of this environment, or containers."""

    @property
    def image(self) -> str:
        """The digest of the image that tasks run in; "" where they run in this environment."""
        ...

    def runner(self) -> local.SubprocessRunner | local.DockerRunner:
        """Returns what kfp.local is told to run tasks with."""
        ...

    def run(self, task: Task, started: Callable[[], None]) -> int:
        """Runs a task to its end; returns its exit code, negative for the signal that killed it.

        `started` is called when the task starts, after what it needs has been imported.
        """
        ...

    def expect(self, task: Task) -> None:
        """Says that a task is not in the cache, so that what it needs is imported while others run."""
        ...

    def stop_tasks(self) -> None:
        """Kills the tasks that are running, and refuses new ones."""
        ...


@dataclass
class Tasks:
    """Runs the tasks of one run, and keeps its record. ParallelFor runs them from several threads.

    `cacheable` says, by the name of a task's folder, what the compiled pipeline says of caching; `before` has the keys
    of earlier runs by the tasks' names. `lineage` is told of each task.
    """

    root: Path
    record: RunRecord
    display: Display
    workers: Workers
    cacheable: Mapping[str, bool]
    before: Mapping[str, Key]
    lineage: Lineage
    use_cache: bool = True
    _origins: dict[Path, str] = field(default_factory=dict)
    _made_again: set[Path] = field(default_factory=set)  # folders of tasks that ran although nothing had changed
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, task: Task) -> bool:
        """Runs a task; returns whether it succeeded. The record is written before and after."""
        run_folder = cache.run_folder(self.root, task.folder)
        row = TaskRecord(task.folder.relative_to(run_folder).as_posix(), "running", inputs=_uris(task, "inputs"))
        row.started = round(time.time(), 3)
        with self._lock:
            self.record.folder = run_folder
            if self.record.task(row.name):  # kfp tries a failed task again
                clear(task.folder)
                (task.folder / FAILURE_FILE).unlink(missing_ok=True)
            self.record.tasks = [*(other for other in self.record.tasks if other.name != row.name), row]
        self.lineage.task_started(row)
        started = time.monotonic()
        try:
            self._run(task, row)
            row.counts, row.outputs = read_counts(task.folder), _outputs(task)
            row.seconds = round(time.monotonic() - started - row.waited, 3)
            self._write()
        except OSError as error:  # the run's own files meet the full disk as well
            row.status, row.failure = "failed", describe(error)
            if is_full(error):
                clear(task.folder)
            with contextlib.suppress(OSError):
                self._write()
        row.seconds = round(time.monotonic() - started - row.waited, 3)
        self.lineage.task_ended(row)
        self.display.end(row)
        return row.status != "failed"

    def _run(self, task: Task, row: TaskRecord) -> None:
        key = cache.key(task, self.root, self._origins, self.workers.image)
        row.key = key
        if not self.cacheable.get(task.folder.name, True):
            row.reason = reasons.NEVER_CACHED
            self._execute(task, row)
            return
        why = self._reason(key, row)
        row.reason = why.text
        hit = cache.restore(self.root, key.digest, task.folder) if self.use_cache else None
        if hit:
            self._origins[task.folder] = hit.origin
            row.status, row.reason = "cached", f"unchanged since {cache.run_folder(self.root, hit.folder).name}"
            return
        if not why.changed:
            self._made_again.add(task.folder)
        self.workers.expect(task)
        self._go_on(task, row, key)
        self._execute(task, row)
        if row.status == "done":
            origin = task.folder.relative_to(self.root).as_posix()
            self._origins[task.folder] = origin
            if _is_final(task):
                cache.store(self.root, key.digest, task.folder, origin)

    def _go_on(self, task: Task, row: TaskRecord, key: Key) -> None:
        """Gives a training what an earlier attempt at the same, which was ended, left in its model_run: checkpoints."""
        uris = _uris(task, "outputs").get(_MODEL_RUN)
        folder = record.unfinished(self.root, self.record.name, row.name, key) if uris and self.use_cache else None
        if uris and folder and (folder / _MODEL_RUN).is_dir():
            atomic.copy_tree(folder / _MODEL_RUN, Path(uris[0]))
            row.reason += f"; goes on from {cache.run_folder(self.root, folder).name}"

    def _execute(self, task: Task, row: TaskRecord) -> None:
        self._write()
        self.display.start(row, task.folder)
        began = time.monotonic()

        def started() -> None:
            row.waited = round(time.monotonic() - began, 3)
            self.display.imported(row)

        try:
            code = self.workers.run(task, started)
        finally:
            self.display.stop(row)
            with contextlib.suppress(OSError):  # there may be no log, or no room for another
                masks.mask_file(task.folder / LOG_FILE)
        succeeded = code == 0 and executor_output.read(task.executor_input) is not None
        row.status = "done" if succeeded else "failed"
        if not succeeded:
            row.failure = _failure(task.folder, code)
            temporary.remove_leftovers(task.folder)

    def _reason(self, key: Key, row: TaskRecord) -> Reason:
        makers = {entry: Path(uris[0]).parent for entry, uris in row.inputs.items() if uris}
        made_by = {entry: path.name for entry, path in makers.items() if path.is_relative_to(self.record.folder)}
        made_again = {entry for entry, path in makers.items() if path in self._made_again}
        return reasons.reason(key, self.before.get(row.name), made_by, made_again, asked=self.use_cache)

    def _write(self) -> None:
        with self._lock:
            self.record.write()


class _Handler(task_handler_interface.ITaskHandler):  # type: ignore[misc]  # kfp has no types
    """Stands in for kfp.local's handlers, which know no cache, and of which one starts an interpreter for each task."""

    tasks: Tasks

    def __init__(self, image: str, full_command: list[str], pipeline_root: str, runner: Any, env_vars: Any = None):
        program = full_command.index("--executor_input")
        self._task = Task(
            function=registry.executed_function(full_command),
            source=full_command[program - 1],
            executor_input=json.loads(full_command[program + 1]),
            environment=dict(env_vars or {}),
        )

    def run(self) -> status.Status:
        return status.Status.SUCCESS if self.tasks.run(self._task) else status.Status.FAILURE


@contextlib.contextmanager
def in_place_of_handlers(tasks: Tasks, pipeline_root: Path) -> Iterator[None]:
    """Makes kfp.local run its tasks through `tasks`. kfp looks the handler's class up by its name at every task."""
    runner = tasks.workers.runner()
    module, name = _handler(runner)
    original, configured = getattr(module, name), config.LocalExecutionConfig.instance
    # Here and not in /tmp: of some machines Docker sees the home folder only.
    with temporary.folder(pipeline_root, ".workspace-") as workspace:
        local.init(runner, pipeline_root=str(pipeline_root), workspace_root=str(workspace))
        setattr(module, name, type("_RunHandler", (_Handler,), {"tasks": tasks}))
        try:
            yield
        finally:
            setattr(module, name, original)
            config.LocalExecutionConfig.instance = configured  # else components called later would be run, not compiled


def _handler(runner: local.SubprocessRunner | local.DockerRunner) -> tuple[ModuleType, str]:
    """Returns where kfp has the class that handles a runner's tasks."""
    if isinstance(runner, local.DockerRunner):
        from kfp.local import docker_task_handler  # needs Docker's client

        return docker_task_handler, "DockerTaskHandler"
    return subprocess_task_handler, "SubprocessTaskHandler"


def _uris(task: Task, side: str) -> dict[str, list[str]]:
    artifacts = task.executor_input.get(side, {}).get("artifacts", {})
    return {name: [artifact["uri"] for artifact in entry["artifacts"]] for name, entry in artifacts.items()}


def _outputs(task: Task) -> dict[str, Output]:
    """Returns uri and metadata of each output artifact: what the task wrote, else what it was given to write to."""
    outputs: dict[str, Output] = {
        name: {"uri": uris[0], "metadata": {}} for name, uris in _uris(task, "outputs").items() if uris
    }
    written = executor_output.read(task.executor_input) or {}
    for name, entry in written.get("artifacts", {}).items():
        artifact = entry["artifacts"][0]
        outputs[name] = {"uri": artifact["uri"], "metadata": artifact.get("metadata", {})}
    return outputs


def _is_final(task: Task) -> bool:
    """Whether a task would come to the same another time: a model server may be ready too late only this once."""
    return all(output["metadata"].get(InfraValidation.FINAL) != 0 for output in _outputs(task).values())


def _signal(number: int) -> str:
    """Returns a signal's name, and what it most likely means."""
    if number == signal.SIGKILL:
        return "SIGKILL, most likely for memory: give it more, or less data at once"
    if number == signal.SIGABRT and address_space() is not None:
        return "SIGABRT, most likely for its limit of address space: `ulimit -v unlimited`, and run again"
    try:
        return f"{signal.Signals(number).name} ({signal.strsignal(number)}): its log may say more"
    except ValueError:  # the real-time signals between the first and the last have no names
        return f"signal {number}: its log may say more"


def _failure(folder: Path, code: int) -> Failure:
    path = folder / FAILURE_FILE
    try:
        return read_failure(path)
    except (OSError, ValueError):
        pass
    if code == DISK_FULL:
        failure = describe(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    elif code < 0:
        failure = describe(WorkerLost(f"the task was ended by {_signal(-code)}"))
    else:
        failure = describe(executor_output.missing(code))
    with contextlib.suppress(OSError):
        atomic.write_text(path, json.dumps(failure))
    return failure

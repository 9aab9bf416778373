"""A local run from its compiled pipeline to its summary."""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from kfp import components

from penstock.core import errors, packages
from penstock.core.files import documents, temporary, yaml_documents
from penstock.pipelines.local.docker.containers import Containers
from penstock.pipelines.local.handler import Tasks, in_place_of_handlers
from penstock.pipelines.local.processes.warm_pool import Workers
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.origin import Origin
from penstock.pipelines.local.records.record import RunRecord, TaskRecord
from penstock.pipelines.local.report import run_page
from penstock.pipelines.local.report.display import Display
from penstock.pipelines.local.summary import RunSummary
from penstock.pipelines.local.task_order import container_tasks
from penstock.pipelines.local.tracking import mlflow_runs
from penstock.pipelines.local.tracking.lineage import Lineage

_ADDRESS_SPACE = 4 << 30  # bytes that TensorFlow reserves when it trains even a small model


def run(
    spec_path: Path,
    *,
    name: str,
    pipeline_root: Path,
    arguments: dict[str, Any],
    sources: dict[str, str],
    no_cache: bool = False,
    verbose: bool = False,
    containers: Containers | None = None,
    origin: Origin | None = None,
) -> RunSummary:
    """Runs a compiled pipeline on this machine and shows its progress on standard error.

    Args:
        spec_path: The compiled pipeline.
        name: The pipeline's name; runs are `<pipeline_root>/<name>-<time>/`.
        pipeline_root: The folder of all runs, of the cache and of the user's published modules.
        arguments: The pipeline's parameters.
        sources: Published modules' folders and files, and the user's that they were copied from, for messages.
        no_cache: Whether every task is to run.
        verbose: Whether kfp's own log is shown.
        containers: What runs the tasks; by default processes of this environment do. It is closed at the end.
        origin: What the run is made of, for its record.

    Raises KeyboardInterrupt after ending everything that was started; a ConfigError for tasks without an order, a
    SystemFailure if kfp cannot run the pipeline.
    """
    root = pipeline_root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    spec = yaml_documents.parse_compiled(documents.read_text(spec_path), str(spec_path))[0]
    run_record = RunRecord(
        name, root, arguments, image=containers.name if containers else "", origin=origin or Origin()
    )
    tasks_in_order = list(container_tasks(spec))
    names = {task.name: task.cacheable for task in tasks_in_order}
    display = Display(max(map(len, names), default=10))
    before = record.last_keys(root, name)
    record.remove_leftovers(root, name)
    with (
        temporary.folder() as scratch,
        containers or Workers(tasks_in_order, arguments, scratch, eager=no_cache or not before) as workers,
        _ended_by_interrupt(workers),
        contextlib.closing(Lineage(run_record)) as lineage,
        _recorded(run_record, names, display),
    ):
        tasks = Tasks(root, run_record, display, workers, names, before, lineage, use_cache=not no_cache)
        with in_place_of_handlers(tasks, root), _quiet(verbose):
            components.load_component_from_file(str(spec_path))(**arguments)
    if run_record.tasks:
        mlflow_runs.log(run_record)
    return RunSummary.of(run_record, sources)


@contextlib.contextmanager
def _recorded(run_record: RunRecord, names: dict[str, bool], display: Display) -> Iterator[None]:
    """Has the record and the page of a run say how it ended. A task that failed is in them, and no error here."""
    try:
        yield
        run_record.status = "done"
    except KeyboardInterrupt:
        run_record.status = "interrupted"
        raise
    except Exception as error:
        run_record.status = "failed"
        if not any(task.status == "failed" for task in run_record.tasks):  # else this is how kfp tells of it
            message = f"kfp.local could not run the pipeline {run_record.name!r}: {type(error).__name__}: {error}"
            raise errors.SystemFailure(message) from error
    finally:
        display.close()
        with contextlib.suppress(OSError):  # on a full disk the run still ends with its own sentence
            _finish(run_record, names)


def _finish(run_record: RunRecord, names: dict[str, bool]) -> None:
    run_record.seconds = round(time.time() - run_record.started, 3)
    if run_record.status == "running":  # an error of kfp's own or of ours, on its way to the caller
        run_record.status = "failed"
    if not run_record.tasks:
        return
    for task in run_record.tasks:
        if task.status == "running":
            task.status = run_record.status
    ran = {task.name.rpartition("/")[2] for task in run_record.tasks}
    why = "its condition was not met" if run_record.status == "done" else "the run ended before it"
    run_record.tasks += [TaskRecord(task, "skipped", reason=why) for task in names if task not in ran]
    run_record.write()
    run_page.write(run_record)


@contextlib.contextmanager
def _ended_by_interrupt(workers: Workers | Containers) -> Iterator[None]:
    """On Ctrl-C kills the running tasks first: kfp's threads, which wait for them, would hold the interrupt up.

    So it does when the process is asked to end, or its terminal is closed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        workers.stop_tasks()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _quiet(verbose: bool) -> Iterator[None]:
    if verbose:
        yield
        return
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(level)


def require_runtime() -> None:
    """Raises a UserError where what a local run needs is not installed, or may not be loaded."""
    limit = errors.address_space()
    if limit is not None and limit < _ADDRESS_SPACE:
        raise errors.UserError(
            f"this shell gives a process {limit >> 20:,} MiB of address space, and TensorFlow takes "
            f"{_ADDRESS_SPACE >> 30} GiB or more: `ulimit -v unlimited` in this shell, and run again"
        )
    if not packages.has_runtime():
        raise errors.UserError(
            "a local run needs the runtime: in Penstock's checkout `make environment`, or "
            f"{Path(sys.executable).name} -m pip install '.[runtime]'"
        )

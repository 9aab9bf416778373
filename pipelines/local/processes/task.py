"""What the process of one task does: the component's function, as kfp's executor runs it, and word of a failure."""

import linecache
import logging
import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.core import progress
from penstock.core.credentials import masks
from penstock.core.failures import FAILURE_FILE, describe, is_full
from penstock.core.files import atomic, documents
from penstock.core.text.printable import printable

LOG_FILE = "log.txt"
PROGRESS_FILE = "progress.jsonl"
# The exit code of a task that a full disk ended, and that could not even write this down.
DISK_FULL = 28
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What a task is to kfp: a function's source text, its name, and KFP's ExecutorInput."""

    function: str
    source: str
    executor_input: dict[str, Any]
    environment: dict[str, str]

    @property
    def folder(self) -> Path:
        """The folder of the task in its run, which holds its outputs and its log."""
        return Path(self.executor_input["outputs"]["outputFile"]).parent


def execute(task: Task) -> int:
    """Runs a task in this process; its output goes to the log in its folder. Returns its exit code."""
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
        _output_to(task.folder / LOG_FILE)
    except OSError as error:
        return _failed(task, error)
    os.environ.pop("CLUSTER_SPEC", None)  # it may say that KFP's executor is not to write the task's output
    os.environ.update(task.environment)
    os.environ[progress.ENVIRONMENT_VARIABLE] = str(task.folder / PROGRESS_FILE)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    try:
        _call(task)
        return 0
    except BaseException as error:
        return _failed(task, error)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # a full disk holds no more lines
                stream.flush()


class _Formatter(logging.Formatter):
    """Keeps a message of ours in its line, whatever the names in it hold: report/warnings.py reads it there."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        if record.name.startswith("penstock."):
            record.message = printable(record.message)
        return super().formatMessage(record)


def _call(task: Task) -> None:
    from kfp.dsl.executor import Executor

    name = f"<component {task.function}>"
    linecache.cache[name] = (len(task.source), None, task.source.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": "ephemeral_component"}
    exec(compile(task.source, name, "exec"), namespace)
    Executor(executor_input=task.executor_input, function_to_execute=namespace[task.function]).execute()


def _failed(task: Task, error: BaseException) -> int:
    """Logs the whole traceback and writes what the person is told; returns the exit code."""
    failure, full = describe(error), is_full(error)
    if full:
        clear(task.folder)
    logger.error("the task failed", exc_info=error)
    try:
        atomic.write_text(task.folder / FAILURE_FILE, documents.json_text(failure))
    except OSError:
        return DISK_FULL if full else int(failure["exit_code"])
    return int(failure["exit_code"])


def clear(folder: Path) -> None:
    """Removes what a task has written, but for its log and the word of its failure."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in (LOG_FILE, FAILURE_FILE):
                path.unlink(missing_ok=True)


def _output_to(path: Path) -> None:
    """Sends what this process and its libraries print to a file from now on, what Python prints without credentials."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    sys.stdout = open(1, "w", buffering=1, closefd=False, encoding="utf-8", errors="replace")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False, encoding="utf-8", errors="replace")  # noqa: SIM115
    masks.mask_streams()
    print(time.strftime("%Y-%m-%d %H:%M:%S"), "task started", flush=True)

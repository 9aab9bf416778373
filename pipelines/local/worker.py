"""Warm workers: processes that import once and fork for every task.

    python -m penstock.pipelines.local.worker <descriptor> <module> …

Imports dominate a local run, and a fork has them for nothing. A worker imports its modules, then answers the requests
that come over the socket at <descriptor>, one at a time: it forks, the child runs the task and says what came of it.
TensorFlow survives a fork as long as it has only been imported; workers run nothing themselves.
"""

import contextlib
import importlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from penstock.components import errors, progress, storage

FAILURE_FILE = "failure.json"
LOG_FILE = "log.txt"
PROGRESS_FILE = "progress.jsonl"
_ENVIRONMENT = {
    "CUDA_MODULE_LOADING": "LAZY",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1"),
}


@dataclass(frozen=True)
class Task:
    """What a task is to kfp: a function's source text, its name, and KFP's ExecutorInput."""

    function: str
    source: str
    executor_input: dict[str, Any]
    environment: dict[str, str]

    @property
    def folder(self) -> Path:
        return Path(self.executor_input["outputs"]["outputFile"]).parent


class Worker:
    """A warm worker, from the side of the run. Start it early; `run` waits until its imports are done."""

    def __init__(self, modules: Iterable[str]):
        self._socket, far_end = socket.socketpair()
        command = [sys.executable, "-m", "penstock.pipelines.local.worker", str(far_end.fileno()), *modules]
        self._process = subprocess.Popen(
            command,
            pass_fds=[far_end.fileno()],
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,  # Ctrl-C is this side's to handle; ending the group ends tasks and their workers
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        far_end.close()
        self._answers = self._socket.makefile("r", encoding="utf-8")

    def run(self, task: Task) -> int:
        """Runs a task to its end; returns its exit code, negative for the signal that killed it."""
        try:
            self._socket.sendall(json.dumps(asdict(task)).encode() + b"\n")
            answer = self._answers.readline()
        except OSError:
            answer = ""
        return int(answer) if answer else -signal.SIGKILL

    def close(self) -> None:
        """Ends the worker, and the task it may be running, at once."""
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def main(descriptor: int, modules: list[str]) -> None:
    connection = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    for module in modules:
        with contextlib.suppress(Exception):  # the task that needs it will say what is wrong with it
            importlib.import_module(module)
    with connection.makefile("r", encoding="utf-8") as requests:
        for line in requests:
            task = Task(**json.loads(line))
            child = os.fork()
            if child == 0:
                connection.close()
                os._exit(execute(task))
            connection.sendall(b"%d\n" % _wait(child, connection))


def _wait(child: int, connection: socket.socket) -> int:
    """Returns the child's exit code. Should the run's own process vanish, the child ends with everything else here."""
    descriptor = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([descriptor, connection.fileno()], [], [])
        if descriptor not in ready:
            os.killpg(0, signal.SIGKILL)
    finally:
        os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def execute(task: Task) -> int:
    """Runs a task in this process as kfp's executor does; its output goes to the log in its folder."""
    task.folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(task.environment)
    os.environ[progress.ENVIRONMENT_VARIABLE] = str(task.folder / PROGRESS_FILE)
    with _output_to(task.folder / LOG_FILE):
        logging.basicConfig(
            stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
        )
        try:
            _call(task)
        except BaseException as error:
            return _failed(task, error)
    return 0


def _call(task: Task) -> None:
    from kfp.dsl.executor import Executor

    namespace: dict[str, Any] = {"__name__": "ephemeral_component"}
    exec(compile(task.source, f"<component {task.function}>", "exec"), namespace)
    Executor(executor_input=task.executor_input, function_to_execute=namespace[task.function]).execute()


def _failed(task: Task, error: BaseException) -> int:
    """Logs the whole traceback and writes what the person is told; returns the exit code."""
    logging.getLogger(__name__).error("the task failed", exc_info=error)
    told: BaseException | None = error
    if isinstance(error, OSError):
        told = errors.explain_os_error(error) or error
    if isinstance(told, errors.PenstockError):
        message, details, code = told.message, told.details, told.exit_code
    else:
        message, details, code = f"{type(error).__name__}: {error}".strip(": "), "", 1
    failure = {"type": type(told).__name__, "message": message, "details": details, "exit_code": code}
    with contextlib.suppress(OSError):  # on a full disk the exit code has to do
        storage.write_text(task.folder / FAILURE_FILE, json.dumps(failure))
    return code


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Sends what this process and its libraries print to a file."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    sys.stdout = open(1, "w", buffering=1, closefd=False, encoding="utf-8", errors="replace")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False, encoding="utf-8", errors="replace")  # noqa: SIM115
    print(time.strftime("%Y-%m-%d %H:%M:%S"), "task started", flush=True)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

"""Warm workers: processes that import once and fork for every task.

    python -m penstock.pipelines.local.processes.warm_process <descriptor> <module> …

Imports dominate a local run, and a fork has them for nothing. A worker imports its modules one after the other and in
between takes the tasks that come over the socket at <descriptor>, each with a channel of its own; what a task needs is
imported first. For a task it forks a supervisor, which forks the task, waits for it and sends its exit code over the
channel. When the channel closes, because the run ended or was killed, the supervisor kills the task with all that it
started. TensorFlow survives a fork as long as it has only been imported; workers run nothing themselves.

Where forking a process that has loaded much is not safe (macOS), a worker is given no modules: the same code then
forks from an almost empty process, and each task does its own imports.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from penstock.core import processes
from penstock.core.errors import ModuleError
from penstock.core.failures import FAILURE_FILE, describe
from penstock.core.files import atomic, documents
from penstock.pipelines.local.processes.task import LOG_FILE, PROGRESS_FILE, Task, execute

__all__ = ["FAILURE_FILE", "LOG_FILE", "PROGRESS_FILE", "Task", "Worker"]

WARM = sys.platform == "linux"
_PATIENCE = 0.3  # seconds
_STARTED = "started\n"
_ENVIRONMENT = {
    "_KFP_RUNTIME": "true",  # as in kfp's own containers: its compiler and client stay unloaded
    "CUDA_MODULE_LOADING": "LAZY",
    "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),  # same input, same bytes
    "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
}
# Starts all workers: a worker is killed when the thread ends that has started it, so this one lives to the end.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="worker-starter")
# Of a task's temporary folder. A Unix socket in it, such as multiprocessing's, may have 104 in all.
_MOST_CHARACTERS = 64


class Worker:
    """A warm worker, from the side of the run. Start it early: it imports while other tasks run.

    In `temporary`, by default the system's place for it, each task gets a folder for its temporary files.
    """

    def __init__(self, modules: Iterable[str], temporary: Path | None = None):
        self._socket, far_end = socket.socketpair()
        # -P: a module in the current folder is not to be taken for an installed one, nor for the published copy.
        command = [sys.executable, "-P", "-m", __name__, str(far_end.fileno()), *(modules if WARM else ())]
        own = {} if temporary is None else {"TMPDIR": str(temporary)}
        self._process = _STARTER.submit(
            subprocess.Popen[bytes],
            command,
            pass_fds=[far_end.fileno()],
            env={**os.environ, **_ENVIRONMENT, **own},
            start_new_session=True,  # Ctrl-C is this side's to handle
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ).result()
        far_end.close()
        self._lock = threading.Lock()
        self._channels: set[socket.socket] = set()
        self._closed = False

    def run(self, task: Task, needs: Iterable[str] = (), started: Callable[[], None] = lambda: None) -> int:
        """Runs a task to its end; returns its exit code, negative for the signal that killed it.

        `needs` names what is to be imported before the task starts, which `started` is told of. Several threads may
        call this at once.
        """
        near, far = socket.socketpair()
        try:
            with far, self._lock:
                if self._closed:
                    return -signal.SIGKILL
                self._channels.add(near)
                socket.send_fds(self._socket, [b"t"], [far.fileno()])
            near.sendall(json.dumps([asdict(task), list(needs) if WARM else []]).encode() + b"\n")
            with near.makefile("r", encoding="utf-8") as answers:
                if answers.readline() == _STARTED:
                    started()
                answer = answers.readline()
        except OSError:
            answer = ""
        finally:
            with self._lock:
                self._channels.discard(near)
            near.close()
        return int(answer) if answer else self._lost(task, needs)

    def _lost(self, task: Task, needs: Iterable[str]) -> int:
        """Returns the exit code of a task that gave no answer; tells why if the worker has ended by itself."""
        if not self._closed:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(timeout=_PATIENCE)
                if code >= 0:
                    modules = ", ".join(name for name in needs if name.partition(".")[0] not in ("penstock", "kfp"))
                    error = ModuleError(
                        f"importing what the task needs ended the process with exit code {code}: one of its modules "
                        f"({modules}) calls os._exit: raise an error there instead"
                    )
                    atomic.write_text(task.folder / FAILURE_FILE, documents.json_text(describe(error)))
                    return error.exit_code
        return -signal.SIGKILL

    def stop_tasks(self) -> None:
        """Kills the tasks that are running, and refuses new ones."""
        self._closed = True
        for channel in list(self._channels):
            with contextlib.suppress(OSError):
                channel.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Ends the worker, and the tasks that it may be running. A worker that is still importing is killed."""
        self.stop_tasks()
        self._socket.close()
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main(descriptor: int, modules: list[str]) -> None:
    """Imports, and takes tasks between two imports, until the run's side of the socket is closed.

    If the run is killed, it ends at once, in the middle of an import.
    """
    processes.die_with_parent()
    connection = socket.socket(fileno=descriptor)
    waiting = list(modules)
    while True:
        if not select.select([connection], [], [], 0 if waiting else None)[0]:
            _load(waiting.pop(0))
            continue
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
        if not descriptors:
            _reap(0)  # so that the processor time of all tasks counts as the run's
            os._exit(0)  # nothing is left to do, and TensorFlow's own end takes a while
        with socket.socket(fileno=descriptors[0]) as channel:
            _start(channel, connection)
        _reap(os.WNOHANG)


def _reap(options: int) -> None:
    """Collects the supervisors that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _start(channel: socket.socket, connection: socket.socket) -> None:
    with channel.makefile("r", encoding="utf-8") as requests:
        request = requests.readline()
    if not request:
        return
    task, needs = json.loads(request)
    for module in needs:
        _load(module)
    gc.freeze()  # the collector would touch, and so copy, what is shared with the forks
    if os.fork() == 0:
        connection.close()
        _supervise(channel, Task(**task))


def _load(module: str) -> None:
    if module not in sys.modules:
        with contextlib.suppress(Exception, SystemExit):  # the task that needs it will say what is wrong with it
            importlib.import_module(module)


def _supervise(channel: socket.socket, task: Task) -> NoReturn:
    """Forks the task, and sends its exit code or, if the channel closes first, kills it."""
    folder = _temporary_folder()
    ended, ends = socket.socketpair()
    ends.setblocking(False)
    signal.set_wakeup_fd(ends.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for opened in (channel, ended, ends):
            opened.close()
        os.setpgid(0, 0)
        processes.die_with_parent()
        if folder:
            os.environ["TMPDIR"] = folder
            tempfile.tempdir = None  # which is read once from the variable
        os._exit(execute(task))
    with contextlib.suppress(OSError):  # whoever of the two comes first
        os.setpgid(child, child)
    with contextlib.suppress(OSError):
        channel.sendall(_STARTED.encode())
    while True:
        readable, _, _ = select.select([ended, channel], [], [])
        if channel in readable:
            _kill_group(child)
            _, status = os.waitpid(child, 0)
            break
        ended.recv(64)
        ready, status = os.waitpid(child, os.WNOHANG)
        if ready:
            break
    _kill_group(child)  # what the task has left behind
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        channel.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _temporary_folder() -> str:
    """Makes a folder for a task's temporary files; returns "" where there can be none."""
    with contextlib.suppress(OSError):  # the task will say what is wrong with the disk
        folder = tempfile.mkdtemp()
        if len(folder) <= _MOST_CHARACTERS:
            return folder
        os.rmdir(folder)
    return ""


def _kill_group(leader: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

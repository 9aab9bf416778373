"""Interpreters that have imported: a process imports TensorFlow, Beam and the components once, and forks for commands.

    subprocess.run([python, "-m", "penstock.pipelines.cli.main", "run"], …)

`python` is a program that takes an interpreter's arguments. What it runs is a process of its own, with the caller's
environment, folder, open files and signals. Only its imports are done, also those of what it starts by sys.executable.
So it is not for tests of what is imported, or of variables that are read by an import (KERAS_BACKEND).

It may be run in a pod (tests/servers/cluster/processes.py) that has the program's folder: the process is then one of
the pod's, with the caller's namespaces and user, and none of the rights that the caller lacks.
"""

import atexit
import contextlib
import ctypes
import importlib
import importlib.abc
import importlib.util
import json
import os
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, Self

import pytest

from tests.servers import imported

_INTERPRETER = sys.executable
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 24, 38  # linux/prctl.h
_PATIENCE = 5.0  # seconds after which it is noticed that the tests were killed
_COMPONENTS = Path(__file__).resolve().parents[2] / "components"
_MODULES = [
    "penstock.pipelines.cli.main",
    "penstock.pipelines.compiling.compile",
    "penstock.pipelines.local.orchestrator",
    "penstock.pipelines.local.processes.warm_process",
    "penstock.pipelines.cli.predictions.show_predictions",
    "penstock.pipelines.local.runs",
    "kfp.dsl.executor",
    *(f"penstock.components.{path.parent.name}.executor" for path in sorted(_COMPONENTS.glob("*/executor.py"))),
    "penstock.components.jobs.worker",
    "penstock.trainer.default",
    "penstock.trainer.hardware.devices",
    "penstock.trainer.tuning.default",
    "penstock.trainer.tuning.cluster.machine",
    "penstock.trainer.tuning.cluster.worker",
    "keras_tuner",
    "tensorflow_model_analysis",
    "tensorflow_transform",
    "tfx.components.example_gen.csv_example_gen.executor",
    "tfx.components.trainer.fn_args_utils",
]


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A program that takes an interpreter's arguments. The first that it runs waits for the imports."""
    if sys.platform != "linux":
        yield sys.executable
        return
    folder = tmp_path_factory.mktemp("python")
    folder.chmod(0o755)  # for the users of pods, which see this folder without those above
    shutil.copy(Path(__file__).with_name("forked_client.py"), folder / "client.py")
    program = folder / "python3"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S "${{0%/*}}/client.py" "$0" "$@"\n')
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        (folder / "socket").chmod(0o666)
        listener.listen(128)
        with _Starter(listener, str(program)):
            yield str(program)


class _Starter:
    """Starts the process that imports when somebody asks for it, and ends it."""

    def __init__(self, listener: socket.socket, program: str):
        self._listener, self._program = listener, program
        self._woken, self._wakes = socket.socketpair()
        self._thread = threading.Thread(target=self._start, daemon=True)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wakes.close()
        self._thread.join()
        self._woken.close()
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=60)

    def _start(self) -> None:
        if self._woken in select.select([self._listener, self._woken], [], [])[0]:
            return
        descriptor = self._listener.fileno()
        self._process = subprocess.Popen(
            [_INTERPRETER, "-m", __name__, str(descriptor), self._program, *_MODULES],
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            pass_fds=[descriptor],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # what TensorFlow says while it is imported
        )


@pytest.fixture(scope="module")
def forks(python: str) -> Iterator[None]:
    """What a module's tests, and the code that they call, start by sys.executable is forked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", python)
        yield


def main(descriptor: int, program: str, modules: list[str]) -> None:
    """Imports, then forks a process for each connection, until the tests end or are killed."""
    tests = os.getppid()
    listener = socket.socket(fileno=descriptor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in modules:
            with contextlib.suppress(Exception):  # who needs it will say what is wrong with it
                importlib.import_module(module)
    assert threading.active_count() == 1, threading.enumerate()
    # Those of the libraries, which are as idle as in a warm worker of a run.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    sys.executable = program
    imported.settle()
    listener.settimeout(_PATIENCE)
    while os.getppid() == tests:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if os.fork() == 0:
            listener.close()
            _supervise(connection)
        connection.close()


def _supervise(connection: socket.socket) -> NoReturn:
    """Forks the process, tells the client its id and its end, and kills it if the client is killed.

    Where the client leads a session (start_new_session), it is the session that is killed.
    """
    size, descriptors, _, _ = socket.recv_fds(connection, 8, 64)
    with connection.makefile("rb") as sent:
        request = json.loads(sent.read(int.from_bytes(size, "big")))
    caller = _Caller(connection)
    caller.give_processes()
    child = os.fork()
    if child == 0:
        connection.sendall(b"%d\n" % os.getpid())  # as the client's namespace knows it
        connection.close()
        caller.enter()
        _become(request, descriptors)
    with contextlib.suppress(PermissionError):  # it has done so itself, and more
        os.setpgid(child, child)
    for number in descriptors:
        os.close(number)
    ended = os.pidfd_open(child)
    if ended not in select.select([ended, connection], [], [])[0]:
        if request["leads"]:
            os.killpg(child, signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


class _Caller:
    """A client's namespaces and user, of which a process takes on those that are not its own."""

    def __init__(self, connection: socket.socket) -> None:
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        process, self._user, self._group = struct.unpack("3i", packed)
        self._namespaces = {
            name: os.open(f"/proc/{process}/ns/{name}", os.O_RDONLY)
            for name in ("pid", "ipc", "mnt")
            if os.readlink(f"/proc/{process}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")
        }

    def give_processes(self) -> None:
        """Has what this process forks from now on be processes of the caller's namespace."""
        self._take("pid")

    def enter(self) -> None:
        """Takes on the rest, after which there is no way back."""
        self._take("ipc")
        self._take("mnt")
        if self._user == os.getuid():
            return
        control = ctypes.CDLL(None).prctl
        for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
            control(_PR_CAPBSET_DROP, capability)
        control(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(self._group, self._group, self._group)
        os.setresuid(self._user, self._user, self._user)
        control(_PR_SET_DUMPABLE, 1)  # its files in /proc are its own user's again

    def _take(self, name: str) -> None:
        if name in self._namespaces:
            descriptor = self._namespaces.pop(name)
            os.setns(descriptor)
            os.close(descriptor)


def _become(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Runs the client's program as the client would have."""
    sys.executable = request["program"]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setpgid(0, 0)
    _take_over(dict(zip(request["descriptors"], descriptors, strict=True)))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    status = 1
    try:
        _run(request["arguments"])
        status = 0
    except SystemExit as ended:
        status = _exit_code(ended)
    except BaseException as error:
        status = _told(error)
        if isinstance(error, KeyboardInterrupt):
            sys.stderr.flush()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads, as an interpreter's end does
        atexit._run_exitfuncs()
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _take_over(opened: dict[int, int]) -> None:
    """Gives the client's files their numbers; `opened` has this process' numbers by them."""
    above = max([*opened, *opened.values()]) + 1
    moved = {}
    for target, number in opened.items():
        os.dup2(number, above + target)
        moved[target] = above + target
        os.close(number)
    for target, number in moved.items():
        os.dup2(number, target, inheritable=True)
        os.close(number)


def _exit_code(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return (ended.code or 0) & 0xFF
    print(ended.code, file=sys.stderr)
    return 1


def _told(error: BaseException) -> int:
    """Has what nothing caught told as an interpreter does; returns the exit code."""
    trace = _own_frames(error.__traceback__)
    try:
        sys.excepthook(type(error), error.with_traceback(trace), trace)
    except SystemExit as ended:
        return _exit_code(ended)
    return 1


def _own_frames(trace: types.TracebackType | None) -> types.TracebackType | None:
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _run(arguments: list[str]) -> None:
    """Runs what an interpreter with these arguments runs."""
    words = list(arguments)
    safe = False
    while words[0] in ("-P", "-W"):
        if words.pop(0) == "-P":
            safe = True
        else:
            warnings._processoptions([words.pop(0)])  # type: ignore[attr-defined]
    kind = words.pop(0)
    file = None if kind in ("-c", "-m") else kind
    sys.path[:1] = [] if safe else [str(Path(file).resolve().parent) if file else os.getcwd() if kind == "-m" else ""]
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    if kind == "-c":
        name, code = "-c", compile(words.pop(0), "<string>", "exec")
    elif kind == "-m":
        spec = importlib.util.find_spec(words.pop(0))
        if spec is not None and spec.submodule_search_locations is not None:  # a package
            spec = importlib.util.find_spec(f"{spec.name}.__main__")
        assert spec is not None
        assert isinstance(spec.loader, importlib.abc.InspectLoader)
        name, code = str(spec.origin), spec.loader.get_code(spec.name)
        module.__spec__, module.__package__, module.__file__ = spec, spec.parent, spec.origin
    else:
        name, code = kind, compile(Path(kind).read_text(), kind, "exec")
        module.__file__ = os.path.abspath(kind)
    sys.argv = [name, *words]
    assert code is not None
    exec(code, module.__dict__)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])

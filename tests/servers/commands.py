"""Runs commands of Penstock as processes that have imported, and tells how they ended, in which time and memory.

Each is a process of its own, with its own folder, environment and open files, that is killed after LIMIT seconds. The
process that they are forked from has imported what commands and ExampleGen import, and no TensorFlow.
"""

import contextlib
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

LIMIT = 20.0  # seconds
_MODULES = [
    "penstock.pipelines.cli.main",
    "penstock.pipelines.compiling.compile",
    "penstock.pipelines.lint",
    "penstock.pipelines.local.runs",
    "penstock.components.example_gen.executor",
]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int  # negative for the signal that killed it
    seconds: float
    megabytes: float  # at most in memory, besides what was imported
    output: str
    errors: str


class Commands:
    """Runs commands, one after the other."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def penstock(
        self,
        *arguments: str,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> Ended:
        """Runs a command of the command line. `limits` are of the resource module, such as RLIMIT_NOFILE."""
        return self._run("penstock", list(arguments), cwd, environment or {}, limits or {})

    def example_gen(self, cwd: Path, **arguments: str) -> Ended:
        """Resolves and reads the data at `input_base` as a task does; the examples go to `cwd`/examples."""
        return self._run("example_gen", arguments, cwd, {}, {})

    def _run(
        self,
        program: str,
        arguments: Sequence[str] | Mapping[str, str],
        cwd: Path,
        environment: Mapping[str, str],
        limits: Mapping[str, int],
    ) -> Ended:
        output, errors = self._folder / "stdout", self._folder / "stderr"
        request = {"program": program, "arguments": arguments, "cwd": str(cwd), "environment": environment}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        json.dump({**request, "limits": limits, "output": str(output), "errors": str(errors)}, self._process.stdin)
        print(file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in (output, errors)]
        return Ended(answer["code"], answer["seconds"], answer["megabytes"], *texts)


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    running = Commands(tmp_path_factory.mktemp("commands"))
    yield running
    running.close()


def _serve() -> None:
    for module in _MODULES:
        importlib.import_module(module)
    baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for line in sys.stdin:
        request = json.loads(line)
        ended, ends = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ended)
            _become(request)
        os.close(ends)
        in_time = bool(select.select([ended], [], [], LIMIT + 2)[0])  # the pipe closes with the last of its processes
        os.close(ended)
        if not in_time:
            os.killpg(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        seconds = usage.ru_utime + usage.ru_stime if in_time else LIMIT + 2
        megabytes = (usage.ru_maxrss - baseline) / 1024
        print(
            json.dumps({"code": os.waitstatus_to_exitcode(status), "seconds": seconds, "megabytes": megabytes}),
            flush=True,
        )


def _become(request: dict[str, Any]) -> NoReturn:
    os.setsid()
    code = 1
    with contextlib.suppress(BaseException):
        for descriptor, path in ((0, os.devnull), (1, request["output"]), (2, request["errors"])):
            opened = os.open(path, os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(opened, descriptor)
            os.close(opened)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        os.environ.update(request["environment"])
        os.chdir(request["cwd"])
        for name, value in request["limits"].items():
            resource.setrlimit(getattr(resource, name), (value, value))
        try:
            code = _call(request["program"], request["arguments"])
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    os._exit(code)


def _call(program: str, arguments: Any) -> int:
    from penstock.core import failures
    from penstock.pipelines.cli import main

    if program == "penstock":
        return main.main(arguments)
    from penstock.components.example_gen import executor
    from penstock.components.example_gen.inputs import spans

    try:
        resolved = spans.resolve(input_base=arguments["input_base"])
        executor.run(
            examples="examples",
            resolved_input=resolved.resolved_input,
            fingerprint=resolved.fingerprint,
            **arguments,
        )
    except Exception as error:
        failure = failures.describe(error)
        if failure["exit_code"] != 2:
            traceback.print_exc()
        print(f"penstock: {failure['message']}", file=sys.stderr)
        return failure["exit_code"]
    return 0


if __name__ == "__main__":
    _serve()

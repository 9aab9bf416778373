"""The model server as a child process: on a port of the loopback interface, ended with the task however that ends."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from penstock.components.infra_validator.settings import Url
from penstock.core.credentials import masks
from penstock.core.errors import UserError
from penstock.core.files import temporary
from penstock.core.text import printable

if TYPE_CHECKING:  # it is what the child runs: a local run's cache looks which sources a task depends on
    from penstock.components.model_server import __main__  # noqa: F401

# The task holds the other end of the server's standard input. It closes however the task ends, also by SIGKILL, and
# then the server ends itself.
_SERVE = (
    "import os, runpy, threading; threading.Thread(target=lambda: os.read(0, 1) or os._exit(1), daemon=True).start(); "
    "runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
)
MODULE = "penstock.components.model_server"
_VERSION = "1"
_LOG_LINES = 40
_LONGEST_LINE = 500
_LOG_BYTES = 1 << 16  # of its end, which is read
# Variables of the task that are not the server's: KFP's executor, and the file in which the task tells its progress.
_OF_THE_TASK = ("_KFP_RUNTIME", "PENSTOCK_PROGRESS")


class Server:
    """A model server that was started."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, model_name: str):
        self.process, self._log, self._model_name = process, log, model_name
        self.started = time.monotonic()

    def url(self) -> Url | None:
        """Returns where it has the model; None until it has said its port."""
        for line in self._read().splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                address = urlsplit(json.loads(line)["http"])
                return Url(str(address.hostname), int(address.port or 80), f"/v1/models/{quote(self._model_name)}")
        return None

    def ended(self) -> str:
        """Says how the server has ended by itself; "" while it runs."""
        code = self.process.poll()
        if code is None:
            return ""
        if code == -signal.SIGKILL:
            return "it was killed, most often because there was too little memory"
        return f"it ended with exit code {code}" if code >= 0 else f"it was ended by {signal.Signals(-code).name}"

    @property
    def refused(self) -> bool:
        """Whether the server has ended because of the model: another time it would do so too."""
        return self.process.poll() == UserError.exit_code

    def peak_memory(self) -> int | None:
        """Returns the most bytes of memory that the process has had; None where the system does not tell."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return None

    def last_lines(self) -> list[str]:
        """Returns the last lines that the server has written, printable and without credentials."""
        lines = masks.masked(self._read()).splitlines()[-_LOG_LINES:]
        return [printable.printable(printable.shortened(line.rstrip(), _LONGEST_LINE)) for line in lines]

    def _read(self) -> str:
        with contextlib.suppress(OSError), open(self._log, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(size - _LOG_BYTES, 0))
            return file.read().decode(errors="replace")
        return ""


@contextlib.contextmanager
def started(model: Path, model_name: str, variables: Mapping[str, str]) -> Iterator[Server]:
    """Starts a server of the SavedModel in a folder, in a process group of its own; at the end the group is killed."""
    with temporary.folder() as folder:
        base = folder / "model"
        base.mkdir()
        (base / _VERSION).symlink_to(model.absolute(), target_is_directory=True)
        log = folder / "server.log"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command(base, model_name),
                cwd=folder,
                env=_environment(variables),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        try:
            yield Server(process, log, model_name)
        finally:
            _end(process)


def command(base: Path, model_name: str) -> Sequence[str]:
    """Returns the command line of a server for one model, whose versions are in `base`."""
    settings = {"models": [{"name": model_name, "path": str(base)}], "port": 0}
    return [sys.executable, "-P", "-c", _SERVE.format(module=MODULE), json.dumps(settings)]


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The task's environment, on the processor as the image for serving is."""
    own = {name: value for name, value in os.environ.items() if name not in _OF_THE_TASK}
    return {**own, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONUNBUFFERED": "1", **variables}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills the server's group: nobody waits for an answer of it any more."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()

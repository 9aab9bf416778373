"""The servers of benchmarks/serving, each with the request that asks it for one row of the taxi model."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
_TOOLS = HERE.parent.parent / ".toolchain" / "tools" / "bin"  # where bootstrap.py puts uv
_STARTS = 600.0  # seconds: the first time, MLServer's environment is installed
_V1, _V2 = "/v1/models/taxi:predict", "/v2/models/taxi/infer"


@dataclass(frozen=True)
class Server:
    """How a server is started, on a model's folder, a port and a temporary folder, and how it is asked."""

    command: Callable[[Path, int, Path], list[str]]
    path: str
    body: Callable[[str], object]  # of a tf.Example in base64
    prediction: Callable[[Any], float]  # in the answer


@dataclass(frozen=True)
class Running:
    """A server that is ready, after `start` seconds."""

    server: Server
    url: str
    process: psutil.Process
    start: float

    def predict(self, example: str) -> float:
        body = json.dumps(self.server.body(example)).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return self.server.prediction(json.load(answer))

    @property
    def memory(self) -> float:
        """MB of all its processes, what they share counted once."""
        processes = [self.process, *self.process.children(recursive=True)]
        return sum(process.memory_full_info().pss for process in processes) / 1e6


@contextlib.contextmanager
def started(server: Server, model: Path, folder: Path) -> Iterator[Running]:
    """Runs a server until the context ends; raises SystemExit with its last words if it does not get ready."""
    port, log = _free_port(), folder / "log"
    environment = {**os.environ, "PYTHONPATH": str(HERE), "TF_CPP_MIN_LOG_LEVEL": "2"}
    began = time.monotonic()
    with log.open("w") as output:
        command = server.command(model, port, folder)
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder)
    try:
        while not _is_ready(f"http://127.0.0.1:{port}/v2/health/ready"):
            if process.poll() is not None or time.monotonic() > began + _STARTS:
                raise SystemExit(f"{' '.join(command[:4])} … does not get ready:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        url = f"http://127.0.0.1:{port}{server.path}"
        yield Running(server, url, psutil.Process(process.pid), time.monotonic() - began)
    finally:
        _end(psutil.Process(process.pid))


def _end(process: psutil.Process) -> None:
    """Ends a server and its processes, by force after ten seconds: MLServer waits for its gRPC server forever."""
    processes = [process, *process.children(recursive=True)]
    process.terminate()
    for alive in psutil.wait_procs(processes, timeout=10)[1]:
        alive.kill()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _penstock(model: Path, port: int, folder: Path) -> list[str]:
    program = Path(sys.executable).with_name("penstock")
    return [str(program), "serve", str(model), "--name", "taxi", "--port", str(port)]


def _kserve(model: Path, port: int, folder: Path) -> list[str]:
    return [sys.executable, str(HERE / "kserve_server.py"), str(model), str(port)]


def _mlserver(model: Path, port: int, folder: Path) -> list[str]:
    """In an environment of its own: it has no release for Python 3.13, and its workers fail with a newer uvloop."""
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": _free_port(), "metrics_port": _free_port()}
    taxi = {"name": "taxi", "implementation": "mlserver_model.Taxi", "parameters": {"uri": str(model)}}
    (folder / "settings.json").write_text(json.dumps({**settings, "debug": False}))
    (folder / "model-settings.json").write_text(json.dumps(taxi))
    uv = shutil.which("uv", path=f"{os.environ['PATH']}{os.pathsep}{_TOOLS}") or "uv"
    packages = ["--with", "mlserver==1.7.1", "--with", "tensorflow-cpu==2.21.0", "--with", "uvloop==0.21.0"]
    return [
        uv,
        "run",
        "--quiet",
        "--no-project",
        "--python",
        ">=3.10,<3.13",
        *packages,
        "mlserver",
        "start",
        str(folder),
    ]


def _rows(example: str) -> object:
    return {"instances": [{"b64": example}]}


def _tensors(example: str) -> object:
    return {"inputs": [{"name": "examples", "shape": [1], "datatype": "BYTES", "data": [example]}]}


def _first_row(answer: Any) -> float:
    return float(answer["predictions"][0][0])


SERVERS = {
    "penstock": Server(_penstock, _V1, _rows, _first_row),
    "kserve": Server(_kserve, _V1, _rows, _first_row),
    "mlserver": Server(_mlserver, _V2, _tensors, lambda answer: float(answer["outputs"][0]["data"][0])),
}

"""A standalone Spark cluster of two workers, a core each, out of pyspark's wheel; skipped where there is no Java.

Each worker is a host of its own, for Spark starts no duplicate on the host of a slow task. Executors run the tests'
forked Python (forked.py), which has imported everything.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from penstock.core import processes
from tests.servers import ports

_SECONDS = 60.0


@dataclass
class SparkCluster:
    """A master and workers on loopback, with their files in `folder`."""

    folder: Path
    port: int = field(default_factory=ports.reserve)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def master(self) -> str:
        return f"spark://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        arguments = ["org.apache.spark.deploy.master.Master", "--port", str(self.port)]
        self._start("master", arguments, "127.0.0.1")
        wait(lambda: "Starting Spark master" in self._log("master"), "Spark's master did not start")
        self.add_worker()
        self.add_worker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._started):
            for executor in _executors(process.pid):
                _kill(executor)
            process.kill()
            process.wait()

    def add_worker(self) -> None:
        """Starts a worker, and waits until the master knows it."""
        known = self._log("master").count("Registering worker")
        arguments = ["org.apache.spark.deploy.worker.Worker", "-c", "1", "-m", "1g", self.master]
        number = len(self._started)
        self.workers.append(self._start(f"worker-{number}", arguments, f"127.0.0.{number}"))
        wait(lambda: self._log("master").count("Registering worker") > known, "Spark's worker did not start")

    def executors(self) -> list[int]:
        """Returns the processes of the executors that run."""
        return [child for worker in self.workers for child in _executors(worker.pid)]

    def kill_executor(self) -> None:
        """Kills one as the kernel does if memory runs out."""
        _kill(self.executors()[0])

    def lose_node(self) -> None:
        """Kills a worker with its executors, as if its machine had gone."""
        worker = self.workers.pop()
        lost = [worker.pid, *_executors(worker.pid)]
        for process in lost:
            _kill(process)
        worker.wait()

    def _start(self, name: str, arguments: list[str], host: str) -> subprocess.Popen[bytes]:
        home = Path(str(importlib.util.find_spec("pyspark").origin)).parent  # type: ignore[union-attr]
        process = subprocess.Popen(
            [
                *(str(home / "bin" / "spark-class"), *arguments[:1]),
                *("--host", host, "--webui-port", str(ports.reserve()), *arguments[1:]),
            ],
            env={**os.environ, **self._environment(), "SPARK_HOME": str(home), "SPARK_LOCAL_IP": host},
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / name).open("wb"),
            start_new_session=True,
            preexec_fn=processes.die_with_parent,
        )
        self._started.append(process)
        return process

    def _environment(self) -> Mapping[str, str]:
        return {
            "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_WORKER_DIR": str(self.folder / "work"),
            "SPARK_LOCAL_DIRS": str(self.folder / "local"),
        }

    def _log(self, name: str) -> str:
        return (self.folder / name).read_text(errors="replace")


def _executors(worker: int) -> list[int]:
    """Returns the executors that a worker has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == worker and b"CoarseGrainedExecutorBackend" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, IndexError):  # it has ended
            continue
    return found


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass


def wait(condition: Callable[[], bool], otherwise: str) -> None:
    """Waits until a condition holds."""
    end = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)


@pytest.fixture(scope="session")
def spark_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """A cluster for all tests of the session."""
    if not shutil.which("java"):
        pytest.skip("needs Java 17 or newer")
    pytest.importorskip("pyspark")
    with SparkCluster(tmp_path_factory.mktemp("spark")) as cluster:
        yield cluster

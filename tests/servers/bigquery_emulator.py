"""BigQuery's emulator (bqemulator) as a process of its own: REST and the Storage Read API's gRPC, over DuckDB.

`python -m tests.servers.bigquery_emulator REST_PORT GRPC_PORT` is the process. It does without GEOGRAPHY, for which
DuckDB would download an extension.
"""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from tests.servers import ports

_SECONDS = 60.0
PROJECT = "team"


@dataclass(frozen=True)
class Emulator:
    """A running emulator, and what clients find it by."""

    rest: str
    storage: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "BIGQUERY_EMULATOR_HOST": self.rest,
            "BIGQUERY_STORAGE_EMULATOR_HOST": self.storage,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        }

    def client(self) -> Any:
        """Returns Google's own client of it; the environment has to name it."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        return bigquery.Client(project=PROJECT, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]


@contextmanager
def running(log: Path) -> Iterator[Emulator]:
    """Starts the emulator; skips the test where it is not installed."""
    pytest.importorskip("bqemulator", reason="needs BigQuery's emulator: pip install bqemulator")
    rest, storage = ports.reserve(), ports.reserve()
    command = [sys.executable, "-m", __name__, str(rest), str(storage)]
    environment = os.environ | {"BQEMU_ENABLE_FORMAT_EXTENSIONS": "false"}
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environment) as process:
        try:
            address = f"http://127.0.0.1:{rest}"
            deadline = time.monotonic() + _SECONDS
            while not _answers(f"{address}/healthz"):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, f"the emulator did not start: {log.read_text()}"
                time.sleep(0.05)
            yield Emulator(address, f"127.0.0.1:{storage}")
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (URLError, OSError):
        return False


def main() -> None:
    from bqemulator.cli import main as start
    from bqemulator.storage.engine import DuckDBEngine

    DuckDBEngine._load_spatial = lambda self: None
    start(["start", "--ephemeral", "--log-level", "error", "--rest-port", sys.argv[1], "--grpc-port", sys.argv[2]])


if __name__ == "__main__":
    main()

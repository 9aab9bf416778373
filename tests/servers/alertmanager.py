"""Prometheus' Alertmanager itself, on loopback; tests that need it are skipped where it is not installed."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from tests.servers import ports

PROGRAM = which("prometheus-alertmanager") or which("alertmanager")
_SECONDS = 30.0
# Each alert is a group of its own, about which the receiver hears at once.
_CONFIGURATION = """
route: {{receiver: hook, group_by: [alert], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: hook, webhook_configs: [{{url: "{url}", send_resolved: true}}]}}]
"""


@dataclass
class Alertmanager:
    """A running server, which tells a webhook of its alerts."""

    url: str

    def alerts(self) -> list[dict[str, Any]]:
        """Returns the alerts that are active."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?active=true", timeout=_SECONDS) as answer:
            return list(json.load(answer))


@contextmanager
def running(folder: Path, receiver: str, port: int | None = None) -> Iterator[Alertmanager]:
    """Starts the server, with its files in `folder`; skips the test where there is none."""
    if not PROGRAM:
        pytest.skip("needs Alertmanager (Debian's package prometheus-alertmanager)")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alertmanager.yml").write_text(_CONFIGURATION.format(url=receiver))
    port = port or ports.reserve()
    command = [
        PROGRAM,
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",  # no others
    ]
    log = folder / "log"
    with log.open("ab") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait(lambda: _is_ready(url) or process.poll() is not None, "Alertmanager did not start")
            assert process.poll() is None, log.read_text()
            yield Alertmanager(url)
        finally:
            process.terminate()


def wait(condition: Callable[[], bool], otherwise: str) -> None:
    """Waits until a condition holds."""
    end = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=_SECONDS) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

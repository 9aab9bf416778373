"""What the drill does as a user does it: commands of `penstock`, their server, and requests over HTTP."""

import json
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pyarrow.parquet as pq

from penstock.core.artifacts import RequestLog

MODEL = "flights"
REQUEST_ROWS = 25  # of a request
_PENSTOCK = (sys.executable, "-m", "penstock.pipelines.cli.main")
_LONGEST = 120.0  # seconds for the server to start, to load a version, or to write its log
_SHOWN = 3000  # characters at the end of a log


class DrillFailure(Exception):
    """An expectation that is not met, in a sentence."""


@dataclass(frozen=True)
class Window:
    """When requests were sent: from a first moment until before another."""

    begin: datetime
    end: datetime

    @property
    def options(self) -> list[str]:
        return ["--begin", self.begin.isoformat(), "--end", self.end.isoformat()]


def penstock(folder: Path, *arguments: str, codes: Sequence[int] = (0,)) -> dict[str, Any]:
    """Runs a command in a folder, prints it with its seconds, and returns its result.

    Raises a DrillFailure for another exit code than `codes`.
    """
    print(f"   $ {shlex.join(['penstock', *arguments])}", flush=True)
    started = time.monotonic()
    done = subprocess.run([*_PENSTOCK, *arguments, "--json"], cwd=folder, capture_output=True, text=True)
    if done.returncode not in codes:
        expected = f"expected exit code {' or '.join(map(str, codes))}, received {done.returncode}"
        raise DrillFailure(f"`penstock {arguments[0]}`: {expected}:\n{done.stderr[-_SHOWN:]}")
    print(f"     {time.monotonic() - started:.1f} s")
    result: dict[str, Any] = json.loads(done.stdout)["result"]
    return result


class Server:
    """`penstock serve` in a folder, from its start to the end of the `with` block. Its log is serve.log there."""

    LOG = "serve.log"

    def __init__(self, folder: Path):
        self._folder = folder
        self._requests = RequestLog(folder / "requests")

    def __enter__(self) -> Self:
        arguments = ["serve", "--port", "0", "--operation", "operation.yaml"]
        print(f"   $ {shlex.join(['penstock', *arguments])}", flush=True)
        command = [*_PENSTOCK, *arguments]
        with open(self._folder / self.LOG, "wb") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.PIPE, stderr=log)
        assert self._process.stdout is not None
        try:
            self.address = json.loads(self._process.stdout.readline() or "{}").get("http", "")
            self._until(self._is_ready, "the server to be ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=_LONGEST)

    def wait_for(self, version: str) -> None:
        """Waits until a version answers."""
        self._until(lambda: version in self.versions(), f"version {version} to be served")

    def wait_until_only(self, version: str) -> None:
        """Waits until a version answers, and no other."""
        self._until(lambda: self.versions() == {version}, f"version {version} alone to be served")

    def versions(self) -> set[str]:
        """Returns the versions that answer."""
        status = self._get(f"/v1/models/{MODEL}")["model_version_status"]
        return {one["version"] for one in status if one["state"] == "AVAILABLE"}

    def ask(self, rows: Sequence[dict[str, Any]], name: str) -> Window:
        """Sends rows, some to a request, and waits until the log holds them. The requests' ids are `<name>-0`, …"""
        before, begin = self.rows(), datetime.now(UTC)
        for number, start in enumerate(range(0, len(rows), REQUEST_ROWS)):
            body = {"instances": rows[start : start + REQUEST_ROWS]}
            self._get(f"/v1/models/{MODEL}:predict", body, {"X-Request-Id": f"{name}-{number}"})
        window = Window(begin, datetime.now(UTC))
        self._until(lambda: self.rows() - before >= len(rows), f"the request log to hold {len(rows):,} rows more")
        return window

    def rows(self, version: str = "*") -> int:
        """Returns how many rows are logged, of a version or of all."""
        files = self._requests.root.glob(f"{MODEL}/{version}/**/*.parquet")
        return sum(pq.read_metadata(path).num_rows for path in files)

    def _is_ready(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.address}/v2/health/ready").close()
        except urllib.error.URLError:
            return False
        return True

    def _get(
        self, path: str, body: dict[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, content, {**(headers or {})})
        try:
            with urllib.request.urlopen(request) as answer:
                parsed: dict[str, Any] = json.load(answer)
                return parsed
        except urllib.error.HTTPError as error:
            raise DrillFailure(f"{self.address}{path}: {error}: {error.read().decode(errors='replace')}") from None

    def _until(self, is_so: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _LONGEST
        while not is_so():
            if time.monotonic() > end or self._process.poll() is not None:
                log = (self._folder / self.LOG).read_text(errors="replace")[-_SHOWN:]
                raise DrillFailure(f"expected {what} within {_LONGEST:.0f} s:\n{log}")
            time.sleep(0.2)

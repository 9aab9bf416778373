"""Loads a server with wrk, and says what it answered."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT = 30  # seconds, after which wrk counts a request as failed
# wrk sends one body after the other, on each connection the next as soon as the last is answered.
_SCRIPT = """
local requests, following = {}, 0
init = function(arguments)
  for body in io.lines("%s") do
    requests[#requests + 1] = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
  end
end
request = function()
  following = following %% #requests + 1
  return requests[following]
end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\\n{"requests": %%d, "microseconds": %%d, "p50": %%f, "p99": %%f, "failures": %%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
"""


@dataclass(frozen=True)
class Load:
    """What came of loading a server. Latencies in milliseconds; failures are of connections, time and status."""

    connections: int
    requests: int
    rate: float  # answers in a second
    p50: float
    p99: float
    failures: int


class Generator:
    """wrk, with the bodies that it sends to one address."""

    def __init__(self, url: str, bodies: Sequence[str], folder: Path):
        wrk = shutil.which("wrk")
        if wrk is None:
            raise SystemExit("wrk is not installed: it loads the servers (apt-get install wrk)")
        self._wrk, self._url = wrk, url
        self._script = folder / "load.lua"
        (folder / "bodies").write_text("".join(f"{body}\n" for body in bodies))
        self._script.write_text(_SCRIPT % (folder / "bodies"))

    def run(self, connections: int, seconds: float) -> Load:
        command = [self._wrk, "--threads=1", f"--connections={connections}", f"--duration={seconds:.0f}s"]
        command += [f"--timeout={_TIMEOUT}s", f"--script={self._script}", self._url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
        counts = json.loads(done.stdout.splitlines()[-1])
        rate = counts["requests"] / counts["microseconds"] * 1e6
        p50, p99 = counts["p50"] / 1000, counts["p99"] / 1000
        return Load(connections, counts["requests"], rate, p50, p99, counts["failures"])

"""Times a process and all that it starts."""

import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass
class Measurement:
    """One run of a whole process and of all that it started. Memory in MB."""

    wall: float
    cpu: float
    peak_rss: float  # of the largest single process
    peak_total: float  # of all processes together, shared pages counted once (PSS)
    components: dict[str, float] = field(default_factory=dict)


def measure(command: list[str], log: Path) -> Measurement:
    """Runs a command to its end; raises if it fails."""
    with open(log, "w") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": ""}
        )
        watch = Memory(process.pid)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.stop()
    if process.returncode:
        sys.exit(f"{' '.join(command[:4])} … ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    return Measurement(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, watch.peak / 1e6)


class Memory(threading.Thread):
    """Samples the memory of a process and all below it, at most twice a second.

    Going through the pages of a large process takes some 40 ms: no more than a tenth of the time is spent on it.
    """

    def __init__(self, process: int):
        super().__init__(daemon=True)
        self.peak, self._process, self._stopped = 0.0, process, threading.Event()

    def run(self) -> None:
        pause = 0.5
        while not self._stopped.wait(pause):
            started = time.monotonic()
            try:
                root = psutil.Process(self._process)
                self.peak = max(self.peak, sum(map(_share, [root, *root.children(recursive=True)])))
            except psutil.NoSuchProcess:
                return
            pause = max(0.5, 9 * (time.monotonic() - started))

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def _share(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0


def median(runs: list[Measurement]) -> Measurement:
    """Returns the medians of the figures of runs with the same components."""

    def of(values: list[float]) -> float:
        return round(statistics.median(values), 3)

    components = {key: of([run.components[key] for run in runs]) for key in runs[0].components}
    figures = {key: of([getattr(run, key) for run in runs]) for key in ("wall", "cpu", "peak_rss", "peak_total")}
    return Measurement(**figures, components=components)

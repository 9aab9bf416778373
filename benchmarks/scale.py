"""Runs the flights' pipeline on the flights many times over: seconds, memory and temporary disk of each component.

    python benchmarks/scale.py [--times 1 10 100] [--engine local] [--folder FOLDER] [--files]

`--engine spark` starts a Spark cluster of two workers with a core each. Memory is of its processes as
well; of processor seconds, an executor's are gone with it.

A table for each size ends with one for all: what a size takes to what the one before takes, and the rows. 100 times are
33 million rows: 1.1 GB of CSV, and about 6 GB of artifacts in the folder, which is removed. `--files` writes a file for
each time in place of one for all.

Memory is the RSS of the largest process, sampled four times a second, and so is the disk: what is in the place for
temporary files, and in hidden files and folders of the run, which are moved or removed when a task ends.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import engine_servers
import psutil

ROOT = Path(__file__).resolve().parent.parent
FLIGHTS = ROOT / "examples" / "flights"
ROWS = 327_346
TASKS = {"csv-example-gen": "ExampleGen", "statistics-gen": "StatisticsGen"}
TASKS |= {"transform": "Transform", "trainer": "Trainer", "evaluator": "Evaluator"}
_PAUSE = 0.25  # seconds


@dataclass(frozen=True)
class Sample:
    """What there was at a time: the largest process and all of them, in bytes, and bytes of temporary files.

    `processor` are the seconds of processors so far, of all processes that there are or were.
    """

    time: float
    processor: float
    largest: int
    total: int
    disk: int


@dataclass(frozen=True)
class Figures:
    """Of a task: its seconds, those of processors, and the most that was sampled while it ran, in MB."""

    seconds: float
    processor: float
    largest: float
    total: float
    disk: float


class Sampler(threading.Thread):
    """Samples all processes below this one, and folders, until it is told to stop."""

    def __init__(self, folders: Sequence[Path]):
        super().__init__(daemon=True)
        self.samples: list[Sample] = []
        self._folders, self._stopped = folders, threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(_PAUSE):
            used = [_used(one) for one in psutil.Process().children(recursive=True)]
            sizes, seconds = zip(*used, strict=True)
            disk = sum(map(_bytes, self._folders))
            self.samples.append(Sample(time.time(), sum(seconds), max(sizes), sum(sizes), disk))

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def between(self, started: float, ended: float) -> list[Sample]:
        """Returns the samples of some time, and at least the one that is nearest to it."""
        inside = [sample for sample in self.samples if started <= sample.time <= ended]
        return inside or [min(self.samples, key=lambda sample: abs(sample.time - started))]


def _used(process: psutil.Process) -> tuple[int, float]:
    """Returns the RSS of a process, and the processor seconds of it and of its children that have ended."""
    try:
        return int(process.memory_info().rss), float(sum(process.cpu_times()[:4]))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0, 0.0


def _bytes(folder: Path) -> int:
    """Returns the bytes of temporary files below a folder: of all of them, or, of a run's, of hidden ones."""
    total = 0
    for path, _, names in os.walk(folder):
        if folder.name == "tmp" or "/." in path.removeprefix(str(folder)):
            for name in names:
                try:
                    total += os.stat(os.path.join(path, name)).st_blocks * 512
                except OSError:  # it is gone
                    continue
    return total


def write_data(folder: Path, times: int, files: bool) -> Path:
    """Writes the flights so many times over: one file, or one for each time."""
    source = FLIGHTS / "data" / "flights.csv"
    if not source.exists():
        subprocess.run([sys.executable, str(FLIGHTS / "prepare.py")], check=True)
    header, _, rows = source.read_bytes().partition(b"\n")
    data = folder / "data"
    data.mkdir(parents=True)
    for part in range(times if files else 1):
        with open(data / f"flights-{part:05d}.csv", "wb") as file:
            file.write(header + b"\n")
            for _ in range(1 if files else times):
                file.write(rows)
    return data


def run(times: int, folder: Path, engine: str, files: bool, settings: Sequence[str]) -> dict[str, Figures]:
    """Runs the pipeline once; returns the figures of its components."""
    data, root, temporary = write_data(folder, times, files), folder / "runs", folder / "tmp"
    temporary.mkdir()
    overrides = [f"data.path={data}", f"pipeline_root={root}", f"engine={engine}", "push=null", *settings]
    overrides.append("infra_validation=null")
    command = [str(Path(sys.executable).with_name("penstock")), "run", str(FLIGHTS / "pipeline.yaml")]
    command += [word for assignment in overrides for word in ("--set", assignment)]
    environment = {**os.environ, "PYTHONPATH": "", "TMPDIR": str(temporary)}
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        sampler = Sampler([temporary, root])
        sampler.start()
        status = process.wait()
        sampler.stop()
    if status:
        sys.exit(
            f"the run on {times} times the flights ended with {status}:\n{(folder / 'log.txt').read_text()[-3000:]}"
        )
    left = _bytes(temporary) + _bytes(root)
    if left:
        print(f"  {left:,} bytes of temporary files are left")
    return dict(_figures(json.loads(max(root.glob("*/run.json")).read_text()), sampler))


def _figures(record: dict[str, list[dict[str, object]]], sampler: Sampler) -> Iterator[tuple[str, Figures]]:
    for task in record["tasks"]:
        if task["name"] not in TASKS or task["seconds"] is None:
            continue
        started, seconds = float(str(task["started"])) + float(str(task["waited"])), float(str(task["seconds"]))
        samples = sampler.between(started, started + seconds)
        most = [max(getattr(one, key) for one in samples) / 1e6 for key in ("largest", "total", "disk")]
        yield TASKS[str(task["name"])], Figures(seconds, samples[-1].processor - samples[0].processor, *most)


def show(times: int, figures: dict[str, Figures], before: tuple[int, dict[str, Figures]] | None) -> None:
    """Prints a size's table, and how much longer it took than the size before."""
    grown = f" (rows: {times / before[0]:.0f} times)" if before else ""
    print(f"\n{times * ROWS:,} rows{grown}")
    heads = ("seconds", "times", "processor s", "RSS MB, largest", "RSS MB, sum", "temporary MB")
    print(f"  {'':16}" + "".join(f"{head:>17}" for head in heads))
    for name, one in figures.items():
        longer = f"{one.seconds / before[1][name].seconds:.1f}" if before else ""
        print(f"  {name:16}{one.seconds:17.1f}{longer:>17}{one.processor:17.1f}", end="")
        print(f"{one.largest:17,.0f}{one.total:17,.0f}{one.disk:17,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--engine", default="local")
    parser.add_argument("--folder", type=Path, help="where data and runs are written, by default a temporary folder")
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--set", action="append", default=[], help="as of penstock run")
    asked = parser.parse_args()
    before: tuple[int, dict[str, Figures]] | None = None
    found = {}
    for times in asked.times:
        with ExitStack() as started:
            folder = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="scale-", dir=asked.folder)))
            engine = engine_servers.spark(started, folder) if asked.engine == "spark" else asked.engine
            figures = run(times, folder, engine, asked.files, asked.set)
        show(times, figures, before)
        before = times, figures
        found[times * ROWS] = {name: vars(one) for name, one in figures.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

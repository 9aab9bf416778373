"""TFX's Evaluator and Penstock's on the same model and examples, each alone in a process with all imports done."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import Measurement, measure, median


@dataclass(frozen=True)
class Task:
    """What is evaluated, and a folder for what comes of it."""

    name: str
    examples: Path
    model: Path
    eval_config: str
    folder: Path

    def run(self, side: str, number: int, examples: Path | None = None) -> Measurement:
        times = self.folder / "times.json"
        program = str(Path(__file__).with_name("evaluator_alone.py"))
        command = [sys.executable, program, side, f"--examples={examples or self.examples}", f"--model={self.model}"]
        command += [
            f"--eval-config={self.eval_config}",
            f"--times={times}",
            f"--output={self.folder / side / str(number)}",
        ]
        measured = measure(command, self.folder / "log.txt")
        measured.components = json.loads(times.read_text())
        return measured


def compare(task: Task, rounds: int, ten_times: bool) -> dict[str, Any]:
    """Runs both sides in turn; returns the ratios Penstock / TFX, medians over the rounds."""
    runs = [(task.run("penstock", number), task.run("tfx", number)) for number in range(rounds)]
    ours, theirs = median([pair[0] for pair in runs]), median([pair[1] for pair in runs])
    figures = {f"{key} s": (ours.components[key], theirs.components[key]) for key in ("wall", "processor")}
    figures["peak RSS, MB"] = (ours.peak_rss, theirs.peak_rss)
    print(f"\n{task.name + ', Evaluator alone':32}{'Penstock':>10}{'TFX':>10}{'ratio':>8}")
    for key, (mine, other) in figures.items():
        print(f"  {key:30}{mine:10.2f}{other:10.2f}{mine / other:8.3f}")
    results: dict[str, Any] = {key: round(mine / other, 4) for key, (mine, other) in figures.items()}
    if ten_times:
        ten = task.run("penstock", rounds, _repeated(task.examples, task.folder / "ten"))
        growth = {key: ten.components[key] / ours.components[key] for key in ("wall", "processor")}
        print(f"  ten times the rows: {ten.components['wall']:.2f} s ({growth['wall']:.1f} times), processor", end=" ")
        print(f"{ten.components['processor']:.2f} s ({growth['processor']:.1f} times), peak RSS {ten.peak_rss:.0f} MB")
        results["ten_times"] = {**{key: round(times, 2) for key, times in growth.items()}, "peak_rss": ten.peak_rss}
    return results


def _repeated(examples: Path, folder: Path) -> Path:
    """Makes an Examples artifact whose split eval has each file ten times."""
    for split in examples.glob("Split-*"):
        copies = sorted(split.iterdir()) * (10 if split.name == "Split-eval" else 1)
        (folder / split.name).mkdir(parents=True)
        for number, source in enumerate(copies):
            (folder / split.name / f"data_tfrecord-{number:05d}-of-{len(copies):05d}.gz").symlink_to(source)
    return folder

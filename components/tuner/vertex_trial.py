"""What each trial of Vertex AI's tuning service runs: a training, and word of how it goes.

    python -m penstock.components.tuner.vertex_trial '{"examples": …, "trials": FOLDER}' --learning_rate=0.003 …

The service adds the values as arguments. It reads the objective, after each epoch or fold and at the end, out of a file
of lines of JSON, as Google's cloudml-hypertune writes it (github.com/GoogleCloudPlatform/cloudml-hypertune, whose only
release is an alpha of 2019): CLOUD_ML_HP_METRIC_FILE names it, and CLOUD_ML_TRIAL_ID the trial. What the service has no
place for, the scores of all folds and the reason of a failure, goes into FOLDER, below /gcs, where the Tuner's task
finds it. So do checkpoints, from which a trial that lost its machine goes on.
"""

import argparse
import dataclasses
import json
import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.components.tuner import executor
from penstock.core.errors import ConfigError, PenstockError, UserError
from penstock.core.files import atomic
from penstock.trainer.network.hyperparameters import Hyperparameters
from penstock.trainer.tuning import default, failures
from penstock.trainer.tuning.trials import Scored, Tell, scored

TRIALS = "trials"  # the folder's name among the arguments
OF_ALL = "all.failure.json"  # there, what no trial can mend: it ends the search
_METRIC_FILE, _TRIAL_ID = "CLOUD_ML_HP_METRIC_FILE", "CLOUD_ML_TRIAL_ID"
_DEFAULT_FILE = "/tmp/hypertune/output.metrics"  # cloudml-hypertune's
_MOST_LINES = 100  # as many as cloudml-hypertune keeps


@dataclass(frozen=True)
class Told:
    """What a trial says of itself, in a file of the service's name for it.

    scores: of the folds so far. ended: whether these are all; else the service has stopped it, or it failed.
    error, details: why it failed, "" where it did not; details are lines such as those of a traceback.
    """

    scores: tuple[float, ...] = ()
    ended: bool = False
    error: str = ""
    details: str = ""

    def write(self, folder: Path, trial: str) -> None:
        atomic.write_text(folder / f"{trial}.json", json.dumps(dataclasses.asdict(self)))

    @classmethod
    def read(cls, folder: Path, trial: str) -> "Told":
        """Returns what a trial has said so far; one that never got to it has said nothing."""
        path = folder / f"{trial}.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return cls(**{**found, "scores": tuple(found.get("scores", ()))})


class Reports:
    """The file that the service reads the objective out of."""

    def __init__(self, objective: str, trial: str) -> None:
        self._objective, self._trial = objective, trial
        self._path = Path(os.environ.get(_METRIC_FILE) or _DEFAULT_FILE)
        self._lines: list[str] = []
        self.step = 0

    def add(self, step: int, value: float) -> None:
        self.step = step
        line = {
            "timestamp": time.time(),
            "trial": self._trial,
            self._objective: str(value),
            "global_step": str(step),
            "checkpoint_path": "",
        }
        self._lines = [*self._lines, json.dumps(line, sort_keys=True)][-_MOST_LINES:]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "r+b" if self._path.exists() else "wb") as file:
            file.write("".join(f"{line}\n" for line in self._lines).encode())
            file.truncate()  # afterwards: whoever reads it meanwhile finds it whole, where truncated first it is empty


def main(argument: str, values: Sequence[str]) -> int:
    """Runs a trial; returns 0, or the exit code of what failed, whose reason the trial's file has."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    arguments = json.loads(argument)
    trial, trials = os.environ.get(_TRIAL_ID, ""), Path(arguments.pop(TRIALS))
    if not trial:
        print(
            f"penstock: {_TRIAL_ID}: expected the trial's name, as Vertex AI's tuning service gives it", file=sys.stderr
        )
        return ConfigError.exit_code
    try:
        trainee = _trainee(arguments, trials)
        ended = _run(trainee, parse(values), trials, trial)
        Told(ended.scores, ended=True).write(trials, trial)
    except PenstockError as error:
        _tell(trials, trial, f"{type(error).__name__}: {error.message}", error.details)
        print(f"penstock: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        _tell(trials, trial, f"{type(error).__name__}: {error}", traceback.format_exc())
        raise
    shutil.rmtree(trials / trial, ignore_errors=True)  # its checkpoints
    return 0


def parse(values: Sequence[str]) -> dict[str, Any]:
    """Reads `--name=value`, or `--name value`, of hyperparameters; a ConfigError for anything else."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in Hyperparameters.kinds():
        # A whole number may come as 64.0: those of a DISCRETE parameter are no integers to the service.
        parser.add_argument(f"--{name}", type=float, default=argparse.SUPPRESS)
    try:
        found, others = parser.parse_known_args(values)
    except argparse.ArgumentError as error:
        raise ConfigError(f"expected a number for each hyperparameter: {error}") from None
    if others:
        raise ConfigError(f"expected --name=value of a hyperparameter, received {others[0]!r}")
    return {name: Hyperparameters.kinds()[name](value) for name, value in vars(found).items()}


def _trainee(arguments: Mapping[str, Any], trials: Path) -> default.Trainee:
    """Returns what trains; a user's mistake here, such as too few rows for the folds, is that of all trials."""
    try:
        return default.trainee(executor.read_inputs(**arguments))
    except UserError as error:
        atomic.write_text(trials / OF_ALL, json.dumps(failures.said(error)))
        raise


def _run(trainee: default.Trainee, values: Mapping[str, Any], trials: Path, trial: str) -> Scored:
    reports, scores = Reports(trainee.objective.name, trial), list[float]()

    def score(values: Mapping[str, Any], fold: int, epochs: int | None, folder: Path, tell: Tell) -> float:
        scores.append(trainee(values, fold, epochs, folder, tell))
        Told(tuple(scores)).write(trials, trial)  # of these the service only learns the mean
        return scores[-1]

    def tell(step: int, value: float) -> bool:
        reports.add(step, value)
        return False  # the service ends the whole process

    ended = scored(score, len(trainee.divisions), values, trials / trial, tell)
    reports.add(reports.step + 1, ended.score)
    return ended


def _tell(trials: Path, trial: str, error: str, details: str) -> None:
    scores = Told.read(trials, trial).scores
    Told(scores, error=" ".join(error.split()), details=details).write(trials, trial)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

"""Runs a trial of Vertex AI's tuning service: trains, and reports the objective.

    python -m penstock.components.tuner.vertex_trial '{"examples": …, "trials": FOLDER}' --learning_rate=0.003 …

The service appends the hyperparameters as arguments. It reads the objective, after each epoch or fold and at the end,
from a file of JSON lines in the format of Google's cloudml-hypertune (github.com/GoogleCloudPlatform/cloudml-hypertune,
whose only release is an alpha of 2019). CLOUD_ML_HP_METRIC_FILE names that file, and CLOUD_ML_TRIAL_ID the trial.

FOLDER, below /gcs, gets what the service has no place for: the scores of all folds and the reason of a failure, for the
Tuner's task, and checkpoints, from which a trial resumes that lost its machine.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.components.tuner.executor import Inputs
from penstock.core.credentials import masks
from penstock.core.errors import ConfigError, PenstockError, UserError
from penstock.core.files import atomic
from penstock.trainer.network.hyperparameters import Hyperparameters
from penstock.trainer.tuning import default, failures
from penstock.trainer.tuning.results import Values
from penstock.trainer.tuning.trials import Scored, Tell, scored

TRIALS = "trials"  # the folder's key in the JSON argument
OF_ALL = "all.failure.json"  # a file there: the error that all trials will have, which ends the search
_METRIC_FILE, _TRIAL_ID = "CLOUD_ML_HP_METRIC_FILE", "CLOUD_ML_TRIAL_ID"
_DEFAULT_FILE = "/tmp/hypertune/output.metrics"  # cloudml-hypertune's
_MOST_LINES = 100  # as many as cloudml-hypertune keeps


@dataclass(frozen=True)
class TrialReport:
    """What a trial reports to the Tuner's task, in the file `<trial ID>.json`.

    scores: of the folds so far. ended: whether they are all; if not, the service stopped the trial, or it failed.
    error, details: the error of a failed trial, and its traceback; "" for one that did not fail.
    """

    scores: tuple[float, ...] = ()
    ended: bool = False
    error: str = ""
    details: str = ""

    def write(self, folder: Path, trial: str) -> None:
        """Replaces the report of the trial with this ID."""
        atomic.write_text(folder / f"{trial}.json", json.dumps(dataclasses.asdict(self)))

    @classmethod
    def read(cls, folder: Path, trial: str) -> "TrialReport":
        """Returns the report of the trial with this ID; an empty one if it has written none."""
        path = folder / f"{trial}.json"
        fields = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return cls(**{**fields, "scores": tuple(fields.get("scores", ()))})


class MetricFile:
    """The file from which the service reads the objective of a trial."""

    def __init__(self, objective: str, trial: str) -> None:
        self._objective, self._trial = objective, trial
        self._path = Path(os.environ.get(_METRIC_FILE) or _DEFAULT_FILE)
        self._lines: list[str] = []
        self.step = 0

    def add(self, step: int, value: float) -> None:
        """Appends the objective after a step; only the last hundred lines are kept."""
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
            file.truncate()  # only now, so that a reader never finds the file empty


def main(argument: str, values: Sequence[str]) -> int:
    """Runs a trial; returns the exit code of its process.

    argument: the fields of executor.Inputs and TRIALS, as a JSON object. values: the hyperparameters, as `parse` takes
    them. The reason of a failure is in the trial's report.
    """
    masks.mask_streams()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    arguments = json.loads(argument)
    trial, trials = os.environ.get(_TRIAL_ID, ""), Path(arguments.pop(TRIALS))
    if not trial:
        print(
            f"penstock: {_TRIAL_ID}: expected the trial's name, as Vertex AI's tuning service gives it", file=sys.stderr
        )
        return ConfigError.exit_code
    try:
        trainer = _trainer(Inputs(**arguments), trials)
        result = _run(trainer, parse(values), trials, trial)
        TrialReport(result.scores, ended=True).write(trials, trial)
    except PenstockError as error:
        _report_error(trials, trial, f"{type(error).__name__}: {error.message}", error.details)
        print(f"penstock: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        _report_error(trials, trial, f"{type(error).__name__}: {error}", traceback.format_exc())
        raise
    shutil.rmtree(trials / trial, ignore_errors=True)  # its checkpoints
    return 0


def parse(values: Sequence[str]) -> dict[str, int | float]:
    """Returns the hyperparameters in `--name=value` or `--name value`; raises a ConfigError for anything else."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in Hyperparameters.kinds():
        # The service passes an int as a float such as 64.0 if the parameter is DISCRETE.
        parser.add_argument(f"--{name}", type=float, default=argparse.SUPPRESS)
    try:
        parsed, others = parser.parse_known_args(values)
    except argparse.ArgumentError as error:
        raise ConfigError(f"expected a number for each hyperparameter: {error}") from None
    if others:
        raise ConfigError(f"expected --name=value of a hyperparameter, received {others[0]!r}")
    return {name: Hyperparameters.kinds()[name](value) for name, value in vars(parsed).items()}


def _trainer(inputs: Inputs, trials: Path) -> default.TrialTrainer:
    """Returns what trains. A user's mistake here, such as too few rows for the folds, is reported for all trials."""
    try:
        return default.trial_trainer(inputs.fn_args())
    except UserError as error:
        atomic.write_text(trials / OF_ALL, json.dumps(failures.to_record(error)))
        raise


def _run(trainer: default.TrialTrainer, values: Values, trials: Path, trial: str) -> Scored:
    metric_file, scores = MetricFile(trainer.objective.name, trial), list[float]()

    def score(values: Values, fold: int, epochs: int | None, folder: Path, tell: Tell) -> float:
        scores.append(trainer(values, fold, epochs, folder, tell))
        TrialReport(tuple(scores)).write(trials, trial)  # the service only learns their mean
        return scores[-1]

    def tell(step: int, value: float) -> bool:
        metric_file.add(step, value)
        return False  # to stop a trial, the service ends its process

    result = scored(score, len(trainer.divisions), values, trials / trial, tell)
    metric_file.add(metric_file.step + 1, result.score)
    return result


def _report_error(trials: Path, trial: str, error: str, details: str) -> None:
    scores = TrialReport.read(trials, trial).scores
    TrialReport(scores, error=masks.masked(" ".join(error.split())), details=masks.masked(details)).write(trials, trial)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

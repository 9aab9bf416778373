"""The results of a search: its trials, best first, its parameters, and TFX's tuner_results."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras_tuner
from keras_tuner.src.engine import trial as keras_tuner_trial
from keras_tuner.src.engine.oracle import Oracle
from keras_tuner.src.engine.trial import TrialStatus

from penstock.core.credentials import masks
from penstock.trainer.tuning.settings import Value

# Metrics that the search without code reports beside the objective.
DEVIATION = "score_deviation"
FOLD = "fold_"  # followed by the fold's number, from 0
STOPPED = "stopped"
_KERAS_TUNERS_OWN = "tuner/"  # begins the names of values that Hyperband adds

type Values = Mapping[str, Value]  # of a trial's hyperparameters, by name


@dataclass(frozen=True)
class Trial:
    """A trial and its result.

    number: its place in the order in which trials started, from 1.
    score: the value of the objective; None unless the trial completed. With cross-validation it is the mean over the
        folds. If the trial was stopped before the last fold, it is no better than the median of the trials that were
        not.
    deviation, folds: the folds' standard deviation and their scores; None and empty without cross-validation.
    stopped: whether the trial was ended early, since it was bad.
    error: the last line of a failed trial's error.
    """

    trial_id: str
    number: int
    score: float | None
    values: Values
    deviation: float | None = None
    folds: tuple[float, ...] = ()
    stopped: bool = False
    error: str = ""


@dataclass(frozen=True)
class Parameter:
    """A parameter of the search space; `log` tells whether its scale is logarithmic."""

    name: str
    log: bool = False


@dataclass(frozen=True)
class Results:
    """All trials of a search in the order of their starts. `direction` is "min" or "max" of the objective."""

    objective: str
    direction: str
    trials: list[Trial]
    parameters: list[Parameter] = field(default_factory=list)

    @property
    def best(self) -> list[Trial]:
        """The completed trials, best first; of equal ones, the one that started first comes first."""
        completed = [trial for trial in self.trials if trial.score is not None]
        return sorted(completed, key=lambda trial: trial.score or 0.0, reverse=self.direction == "max")

    def rows(self) -> list[dict[str, Any]]:
        """Returns TFX's tuner_results: a row for each completed trial that has values, best first."""
        rows = []
        for trial in self.best:
            spread: dict[str, Any] = {"fold_scores": list(trial.folds)} if trial.folds else {}
            spread |= {} if trial.deviation is None else {DEVIATION: trial.deviation}
            if trial.values:
                rows.append({"trial_id": trial.trial_id, "score": trial.score, **spread, **trial.values})
        return rows


def no_better(score: float, others: Sequence[float], direction: str) -> float:
    """Returns the score of a trial that was stopped before its last fold: no better than the median of the others.

    others: the scores of trials that ran all folds. The mean over some folds is not comparable with theirs, since the
        first fold may be an easy one.
    """
    worse = max if direction == "min" else min
    return worse(score, statistics.median(others)) if others else score


def of(oracle: Oracle) -> Results:
    """Returns the results of the trials that an oracle has given."""
    trials = [_trial(oracle.trials[trial_id], number) for number, trial_id in enumerate(oracle.start_order, 1)]
    return Results(oracle.objective.name, oracle.objective.direction, trials, parameters(oracle.hyperparameters))


def parameters(space: keras_tuner.HyperParameters) -> list[Parameter]:
    """Returns the parameters of a search space, without those that KerasTuner adds."""
    return [
        Parameter(entry.name, getattr(entry, "sampling", None) in ("log", "reverse_log"))
        for entry in space.space
        if not entry.name.startswith(_KERAS_TUNERS_OWN)
    ]


def _trial(trial: keras_tuner_trial.Trial, number: int) -> Trial:
    completed = trial.status == TrialStatus.COMPLETED
    lines = (trial.message or "").strip().splitlines()
    metrics = {name: trial.metrics.get_last_value(name) for name in trial.metrics.metrics}
    return Trial(
        trial.trial_id,
        number,
        float(trial.score) if completed else None,
        dict(trial.hyperparameters.values),
        metrics.get(DEVIATION),
        tuple(metrics[name] for name in _folds(metrics)),
        stopped=STOPPED in metrics,
        error="" if completed else masks.masked(lines[-1]) if lines else "its score was not a number",
    )


def _folds(names: Iterable[str]) -> list[str]:
    numbers = (name.removeprefix(FOLD) for name in names if name.startswith(FOLD))
    return [f"{FOLD}{number}" for number in sorted(int(number) for number in numbers if number.isdigit())]

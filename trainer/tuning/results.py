"""What a search has found: its trials, best first, the parameters they differ in, and TFX's tuner_results."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_tuner.src.engine.trial import TrialStatus

# Metrics that the search without code reports beside the objective.
DEVIATION = "score_deviation"
FOLD = "fold_"  # and its number, from 0
STOPPED = "stopped"
# Hyperband's own entries among a trial's values.
_OWN = "tuner/"


@dataclass(frozen=True)
class Trial:
    """A trial: its number in the order of their starts, from 1, and what came of it.

    score: the objective's value; with cross-validation the mean over the folds, or if the trial was stopped before
        the last of them, no better than the median of those that were not. None unless completed.
    deviation, folds: the folds' standard deviation and their scores; None and empty without cross-validation.
    stopped: whether it was ended early, as a bad one. error: the last line of what a failed trial raised.
    """

    trial_id: str
    number: int
    score: float | None
    values: Mapping[str, Any]
    deviation: float | None = None
    folds: tuple[float, ...] = ()
    stopped: bool = False
    error: str = ""


@dataclass(frozen=True)
class Parameter:
    """A parameter of the search space; `log` if its range is sampled on a logarithmic scale."""

    name: str
    log: bool = False


@dataclass(frozen=True)
class Results:
    """All trials in the order of their starts. `direction` is "min" or "max"."""

    objective: str
    direction: str
    trials: list[Trial]
    parameters: list[Parameter] = field(default_factory=list)

    @property
    def best(self) -> list[Trial]:
        """The completed trials, best first; of equals the one that started first."""
        done = [trial for trial in self.trials if trial.score is not None]
        return sorted(done, key=lambda trial: trial.score or 0.0, reverse=self.direction == "max")

    def rows(self) -> list[dict[str, Any]]:
        """Returns TFX's tuner_results: the completed trials that have values, best first."""
        rows = []
        for trial in self.best:
            spread: dict[str, Any] = {"fold_scores": list(trial.folds)} if trial.folds else {}
            spread |= {} if trial.deviation is None else {DEVIATION: trial.deviation}
            if trial.values:
                rows.append({"trial_id": trial.trial_id, "score": trial.score, **spread, **trial.values})
        return rows


def no_better(score: float, whole: Sequence[float], direction: str) -> float:
    """Returns the score of a trial that was stopped before its last fold: no better than the median of `whole`, the
    scores of trials that had all of them.

    The mean over other folds than theirs is not comparable: the first fold may be an easy one.
    """
    worse = max if direction == "min" else min
    return worse(score, statistics.median(whole)) if whole else score


def of(oracle: Any) -> Results:
    """Reads the results out of a KerasTuner oracle."""
    trials = [_trial(oracle.trials[trial_id], number) for number, trial_id in enumerate(oracle.start_order, 1)]
    return Results(oracle.objective.name, oracle.objective.direction, trials, parameters(oracle.hyperparameters))


def parameters(space: Any) -> list[Parameter]:
    """Returns the parameters of KerasTuner's space."""
    return [
        Parameter(entry.name, getattr(entry, "sampling", None) in ("log", "reverse_log"))
        for entry in space.space
        if not entry.name.startswith(_OWN)
    ]


def _trial(trial: Any, number: int) -> Trial:
    completed = trial.status == TrialStatus.COMPLETED
    lines = (trial.message or "").strip().splitlines()
    told = {name: trial.metrics.get_last_value(name) for name in trial.metrics.metrics}
    return Trial(
        trial.trial_id,
        number,
        float(trial.score) if completed else None,
        dict(trial.hyperparameters.values),
        told.get(DEVIATION),
        tuple(told[name] for name in _folds(told)),
        stopped=STOPPED in told,
        error="" if completed else lines[-1] if lines else "its score was not a number",
    )


def _folds(names: Iterable[str]) -> list[str]:
    numbers = (name.removeprefix(FOLD) for name in names if name.startswith(FOLD))
    return [f"{FOLD}{number}" for number in sorted(int(number) for number in numbers if number.isdigit())]

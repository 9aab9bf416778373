"""A KerasTuner tuner whose trials are scored on one division of the rows, or on several, by cross-validation."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import keras_tuner
from keras_tuner.src.engine import base_tuner
from keras_tuner.src.engine.trial import Trial, TrialStatus

from penstock.core.errors import ModelError
from penstock.trainer.tuning import oracles, results
from penstock.trainer.tuning.results import Values

_PAUSE = 0.05  # seconds before an oracle is asked for a trial: it may have to wait for the results of others
type Tell = Callable[[int, float], bool]  # takes a step and the objective after it; True means that the trial must stop


class Score(Protocol):
    """Trains with hyperparameters on one part of the rows, and returns the objective on the other part.

    fold: which division of the rows, from 0. epochs: the most epochs; None for the model's own number. folder: for
        checkpoints. tell: to be called after each epoch, with its number from 1.
    """

    def __call__(self, values: Values, fold: int, epochs: int | None, folder: Path, tell: Tell) -> float: ...


@dataclass(frozen=True)
class Scored:
    """The result of a trial: the score of each fold that it ran, and whether it was stopped early."""

    scores: tuple[float, ...]
    stopped: bool = False

    @property
    def score(self) -> float:
        """The mean over the folds."""
        return statistics.fmean(self.scores)

    @property
    def deviation(self) -> float | None:
        """The folds' standard deviation; None for one fold."""
        return statistics.pstdev(self.scores) if len(self.scores) > 1 else None


def scored(score: Score, folds: int, values: Values, folder: Path, tell: Tell) -> Scored:
    """Scores a trial on every fold, or until `tell` returns True.

    With one fold, `tell` gets the result of each epoch if that is finite. With several, it gets the mean score after
    each fold but the last. Raises a ModelError for a score that is not finite.
    """
    scores: list[float] = []
    stopped = False
    epochs = values.get("tuner/epochs")

    def tell_epoch(step: int, value: float) -> bool:
        nonlocal stopped
        stopped = stopped or (folds == 1 and math.isfinite(value) and tell(step, value))
        return stopped

    for fold in range(folds):
        fold_score = score(values, fold, None if epochs is None else int(epochs), folder / f"fold-{fold}", tell_epoch)
        if not math.isfinite(fold_score):
            raise ModelError(f"the score is {fold_score}")
        scores.append(fold_score)
        if fold + 1 < folds:
            stopped = tell(fold + 1, statistics.fmean(scores))
        if stopped:
            break
    return Scored(tuple(scores), stopped)


class Tuner(base_tuner.BaseTuner):  # type: ignore[misc]
    """Scores each trial on every fold; a trial's score is the mean of the folds' scores.

    Without cross-validation there is one fold, and a trial may be stopped after each epoch; with it, after each fold.
    """

    def __init__(self, oracle: keras_tuner.Oracle, score: Score, folds: int, directory: str):
        self._score, self._folds = score, folds
        super().__init__(oracle, directory=directory, project_name="search")

    def pre_create_trial(self) -> None:
        """Waits a little, since KerasTuner asks the oracle again at once if that has no trial yet."""
        time.sleep(_PAUSE)

    def run_trial(self, trial: Trial, **_: object) -> dict[str, float]:
        """Returns the trial's score under the objective's name, and the metrics that `results` reads."""
        values, folder = dict(trial.hyperparameters.values), Path(self.get_trial_dir(trial.trial_id))
        result = scored(self._score, self._folds, values, folder, lambda step, value: self._tell(trial, step, value))
        metrics = {self.oracle.objective.name: result.score}
        if result.deviation is not None:
            metrics[results.DEVIATION] = result.deviation
        if self._folds > 1:
            metrics |= {f"{results.FOLD}{index}": score for index, score in enumerate(result.scores)}
        if result.stopped:
            metrics[results.STOPPED] = 1.0
        return metrics

    def _tell(self, trial: Trial, step: int, value: float) -> bool:
        """Reports an intermediate result to the oracle; returns whether the trial must stop."""
        answer = self.oracle.update_trial(trial.trial_id, {oracles.REPORT: value}, step=step)
        return bool(answer.status == TrialStatus.STOPPED)

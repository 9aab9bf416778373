"""A KerasTuner tuner of anything that is scored on rows: by one split of them, or by cross-validation."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras_tuner
from keras_tuner.src.engine import base_tuner
from keras_tuner.src.engine.trial import TrialStatus

from penstock.core.errors import ModelError
from penstock.trainer.tuning import oracles, results

_PAUSE = 0.05  # seconds between two questions of an oracle that waits for other trials
type Tell = Callable[[int, float], bool]


class Score(Protocol):
    """Trains with hyperparameters on one division of the rows, and returns the objective on the other part.

    fold: from 0. epochs: at most so many; None for the model's own number. folder: for checkpoints.
    tell: to be called with the number of the epoch, from 1, and the objective after it; True means to stop.
    """

    def __call__(self, values: Mapping[str, Any], fold: int, epochs: int | None, folder: Path, tell: Tell) -> float: ...


@dataclass(frozen=True)
class Scored:
    """What came of a trial: the score of every fold that it got to, and whether it was stopped early."""

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


def scored(score: Score, folds: int, values: Mapping[str, Any], folder: Path, tell: Tell) -> Scored:
    """Scores a trial on every fold, or until `tell` says to stop.

    `tell` gets the result after each epoch where there is one fold, else the mean after each fold but the last; never
    one that is not finite. Raises a ModelError for a score that is not finite.
    """
    scores: list[float] = []
    stopped = False
    epochs = values.get("tuner/epochs")

    def told(step: int, value: float) -> bool:
        nonlocal stopped
        stopped = stopped or (folds == 1 and math.isfinite(value) and tell(step, value))
        return stopped

    for fold in range(folds):
        ended = score(values, fold, None if epochs is None else int(epochs), folder / f"fold-{fold}", told)
        if not math.isfinite(ended):
            raise ModelError(f"the score is {ended}")
        scores.append(ended)
        if fold + 1 < folds:
            stopped = tell(fold + 1, statistics.fmean(scores))
        if stopped:
            break
    return Scored(tuple(scores), stopped)


class Tuner(base_tuner.BaseTuner):  # type: ignore[misc]
    """Scores each trial on every fold: the trial's score is their mean, with their standard deviation beside it.

    Without cross-validation there is one fold, and a trial may be ended after each of its epochs; with it, after each
    of its folds.
    """

    def __init__(self, oracle: keras_tuner.Oracle, score: Score, folds: int, directory: str):
        self._score, self._folds = score, folds
        super().__init__(oracle, directory=directory, project_name="search")

    def pre_create_trial(self) -> None:
        time.sleep(_PAUSE)

    def run_trial(self, trial: Any, **_: Any) -> dict[str, float]:
        values, folder = dict(trial.hyperparameters.values), Path(self.get_trial_dir(trial.trial_id))
        ended = scored(self._score, self._folds, values, folder, lambda step, value: self._tell(trial, step, value))
        spread = {} if ended.deviation is None else {results.DEVIATION: ended.deviation}
        parts = {f"{results.FOLD}{index}": one for index, one in enumerate(ended.scores)} if self._folds > 1 else {}
        early = {results.STOPPED: 1.0} if ended.stopped else {}
        return {self.oracle.objective.name: ended.score, **spread, **parts, **early}

    def _tell(self, trial: Any, step: int, value: float) -> bool:
        """Tells the oracle a result on the way, and returns whether the trial is to end."""
        answer = self.oracle.update_trial(trial.trial_id, {oracles.REPORT: value}, step=step)
        return bool(answer.status == TrialStatus.STOPPED)

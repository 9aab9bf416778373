"""A KerasTuner tuner of anything that is scored on rows: by one split of them, or by cross-validation."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras_tuner
from keras_tuner.src.engine import base_tuner
from keras_tuner.src.engine.trial import TrialStatus

from penstock.components.errors import ModelError
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
class _Ended:
    score: float
    stopped: bool


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
        values = dict(trial.hyperparameters.values)
        epochs = values.get("tuner/epochs")
        folder = Path(self.get_trial_dir(trial.trial_id))
        scores: list[float] = []
        stopped = False
        for fold in range(self._folds):
            ended = self._one(trial, values, fold, epochs, folder / f"fold-{fold}")
            scores.append(ended.score)
            stopped = ended.stopped
            if self._folds > 1 and fold + 1 < self._folds:
                stopped = self._tell(trial, fold + 1, statistics.fmean(scores))
            if stopped:
                break
        return self._result(scores, stopped)

    def _one(self, trial: Any, values: Mapping[str, Any], fold: int, epochs: Any, folder: Path) -> _Ended:
        told_to_stop = False

        def tell(step: int, value: float) -> bool:
            nonlocal told_to_stop
            told_to_stop = told_to_stop or (self._folds == 1 and self._tell(trial, step, value))
            return told_to_stop

        score = self._score(values, fold, None if epochs is None else int(epochs), folder, tell)
        if not math.isfinite(score):
            raise ModelError(f"the score of trial {trial.trial_id} is {score}")
        return _Ended(score, told_to_stop)

    def _tell(self, trial: Any, step: int, value: float) -> bool:
        """Tells the oracle a result on the way, and returns whether the trial is to end."""
        if not math.isfinite(value):
            return False
        answer = self.oracle.update_trial(trial.trial_id, {oracles.REPORT: value}, step=step)
        return bool(answer.status == TrialStatus.STOPPED)

    def _result(self, scores: Sequence[float], stopped: bool) -> dict[str, float]:
        spread = {results.DEVIATION: statistics.pstdev(scores)} if len(scores) > 1 else {}
        parts = {f"{results.FOLD}{index}": score for index, score in enumerate(scores)} if self._folds > 1 else {}
        ended = {results.STOPPED: 1.0} if stopped else {}
        return {self.oracle.objective.name: statistics.fmean(scores), **spread, **parts, **ended}

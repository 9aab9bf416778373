"""KerasTuner's oracles with what a search without code has beside them: a budget of time, and an end to bad trials.

A trial is ended by the median rule (Golovin et al. 2017, Google Vizier, section 3.2.2): if its best result so far is
worse than the median, over the completed trials, of the mean of their results up to the same step.
"""

import math
import statistics
import time
from typing import Any

import keras_tuner
from keras_tuner.src.engine import oracle as oracle_module
from keras_tuner.src.engine import trial as trial_module
from keras_tuner.src.engine.trial import TrialStatus

from penstock.trainer.tuning import results
from penstock.trainer.tuning.settings import Search

REPORT = "report"  # the name under which a trial tells its result at a step
_FEWEST = 4  # completed trials before any is compared with them


class Bounded:
    """Mixed into an oracle. `minutes` counts all of the search, before a kill as after it."""

    minutes: float | None = None
    early_stopping: bool = False
    _spent = 0.0
    _since = 0.0

    def bound(self, minutes: float | None, early_stopping: bool) -> None:
        self.minutes, self.early_stopping, self._since = minutes, early_stopping, time.monotonic()

    @property
    def seconds(self) -> float:
        return self._spent + time.monotonic() - self._since

    @oracle_module.synchronized  # type: ignore[untyped-decorator]
    def create_trial(self: Any, tuner_id: str) -> Any:
        late = self.minutes is not None and self.seconds > 60 * self.minutes
        # One that was under way when its worker, or the search, was killed is run to its end.
        if late and tuner_id not in self.ongoing_trials and not self._retry_queue and self.trials:
            self.tuner_ids.discard(tuner_id)
            return trial_module.Trial(hyperparameters=self.hyperparameters.copy(), status=TrialStatus.STOPPED)
        return super().create_trial(tuner_id)  # type: ignore[misc]

    @oracle_module.synchronized  # type: ignore[untyped-decorator]
    def update_trial(self: Any, trial_id: str, metrics: dict[str, float], step: int = 0) -> Any:
        """Takes a trial's result at a step; the status of what it returns is STOPPED if the trial is to end."""
        if REPORT not in metrics:
            return super().update_trial(trial_id, metrics, step)  # type: ignore[misc]
        trial = self.trials[trial_id]
        if not trial.metrics.exists(REPORT):
            trial.metrics.register(REPORT, direction=self.objective.direction)
        trial.metrics.update(REPORT, metrics[REPORT], step=step)
        self._save_trial(trial)
        status = TrialStatus.STOPPED if self._is_bad(trial, step) else TrialStatus.RUNNING
        return trial_module.Trial(hyperparameters=trial.hyperparameters, trial_id=trial_id, status=status)

    def score_trial(self: Any, trial: Any) -> None:
        """As results.no_better has it for trials that ended before their last fold."""
        super().score_trial(trial)  # type: ignore[misc]
        if not (trial.metrics.exists(results.STOPPED) and trial.metrics.exists(f"{results.FOLD}0")):
            return
        whole = [
            other.score
            for other in self.trials.values()
            if other.status == TrialStatus.COMPLETED and not other.metrics.exists(results.STOPPED)
        ]
        trial.score = results.no_better(trial.score, whole, self.objective.direction)

    def _is_bad(self: Any, trial: Any, step: int) -> bool:
        others = [
            reports
            for other in self.trials.values()
            if other.status == TrialStatus.COMPLETED and (reports := _reports(other, step))
        ]
        if not self.early_stopping or len(others) < _FEWEST:
            return False
        own, median = _reports(trial, step), statistics.median(statistics.fmean(reports) for reports in others)
        return min(own) > median if self.objective.direction == "min" else max(own) < median

    def get_state(self: Any) -> dict[str, Any]:
        return {**super().get_state(), "seconds": self.seconds}  # type: ignore[misc]

    def set_state(self: Any, state: dict[str, Any]) -> None:
        super().set_state(state)  # type: ignore[misc]
        self._spent, self._since = state["seconds"], time.monotonic()


def _reports(trial: Any, step: int) -> list[float]:
    """A trial's finite results up to a step."""
    if not trial.metrics.exists(REPORT):
        return []
    history = trial.metrics.get_history(REPORT)
    return [entry.mean() for entry in history if entry.step <= step and math.isfinite(entry.mean())]


class Grid(Bounded, keras_tuner.oracles.GridSearchOracle):  # type: ignore[misc]
    pass


class Random(Bounded, keras_tuner.oracles.RandomSearchOracle):  # type: ignore[misc]
    pass


class Bayesian(Bounded, keras_tuner.oracles.BayesianOptimizationOracle):  # type: ignore[misc]
    pass


class Hyperband(Bounded, keras_tuner.oracles.HyperbandOracle):  # type: ignore[misc]
    pass


def make(
    search: Search, space: keras_tuner.HyperParameters, objective: keras_tuner.Objective, epochs: int
) -> keras_tuner.Oracle:
    """Returns the oracle of a search. `epochs` are those of a whole training, the most that Hyperband gives a trial."""
    common = {
        "objective": objective,
        "hyperparameters": space,
        "allow_new_entries": False,
        "seed": search.seed,
        # A range may hold much that fails, such as learning rates with which the loss is not a number.
        "max_consecutive_failed_trials": max(10, search.trials // 2),
    }
    oracle: Any
    if search.algorithm == "hyperband":
        # As many brackets as the trials allow; without a limit of its own it would end after one round of them.
        oracle = Hyperband(max_epochs=max(2, epochs), hyperband_iterations=search.trials, **common)
        oracle.max_trials = search.trials
    elif search.algorithm == "grid":
        oracle = Grid(max_trials=search.trials, **common)
    elif search.algorithm == "random":
        oracle = Random(max_trials=search.trials, **common)
    else:
        oracle = Bayesian(max_trials=search.trials, **common)
    oracle.bound(search.minutes, search.early_stopping and search.algorithm != "hyperband")
    return oracle

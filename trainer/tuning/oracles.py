"""KerasTuner's oracles for a search without code: with a limit of time, and early stopping of bad trials.

A trial is stopped by the median rule (Golovin et al. 2017, Google Vizier, section 3.2.2): if its best result so far is
worse than the median, over the completed trials, of the mean of their results up to the same step.
"""

import math
import statistics
import time
from collections.abc import Mapping
from typing import Any

import keras_tuner
from keras_tuner.src.engine.metrics_tracking import MetricHistory
from keras_tuner.src.engine.oracle import Oracle, synchronized
from keras_tuner.src.engine.trial import Trial, TrialStatus

from penstock.trainer.tuning import results
from penstock.trainer.tuning.settings import Search

REPORT = "report"  # the metric by which a trial reports its result at a step
_MIN_COMPARED = 4  # completed trials before any trial is compared with them


class Bounded(Oracle):  # type: ignore[misc]
    """A base class of oracles with a limit of time and early stopping."""

    minutes: float | None = None
    early_stopping: bool = False
    _seconds_before = 0.0  # a restart
    _started = 0.0

    def bound(self, minutes: float | None, early_stopping: bool) -> None:
        """Sets the limits, and starts the clock.

        minutes: no trial starts after them; they include the time before a restart. None for no limit.
        early_stopping: whether bad trials are stopped.
        """
        self.minutes, self.early_stopping, self._started = minutes, early_stopping, time.monotonic()

    @property
    def seconds(self) -> float:
        """The time of the search so far, including the time before a restart."""
        return self._seconds_before + time.monotonic() - self._started

    @synchronized  # type: ignore[untyped-decorator]
    def create_trial(self, tuner_id: str) -> Trial:
        """Returns the next trial; one with status STOPPED, which ends the worker, if the time is used up."""
        late = self.minutes is not None and self.seconds > 60 * self.minutes
        # A trial that was running when its worker, or the search, was killed is still run to its end.
        if late and tuner_id not in self.ongoing_trials and not self._retry_queue and self.trials:
            self.tuner_ids.discard(tuner_id)
            return Trial(hyperparameters=self.hyperparameters.copy(), status=TrialStatus.STOPPED)
        return super().create_trial(tuner_id)

    @synchronized  # type: ignore[untyped-decorator]
    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Takes a trial's result at a step, the metric REPORT; returns a trial with status STOPPED if it must end.

        A trial that is run again reports a step again: what it had reported from there on no longer counts.
        """
        if REPORT not in metrics:
            return super().update_trial(trial_id, metrics, step)
        trial = self.trials[trial_id]
        before = trial.metrics.get_history(REPORT) if trial.metrics.exists(REPORT) else []
        trial.metrics.metrics[REPORT] = MetricHistory(self.objective.direction)
        trial.metrics.set_history(REPORT, [entry for entry in before if entry.step < step])
        trial.metrics.update(REPORT, metrics[REPORT], step=step)
        self._save_trial(trial)
        status = TrialStatus.STOPPED if self._is_bad(trial, step) else TrialStatus.RUNNING
        return Trial(hyperparameters=trial.hyperparameters, trial_id=trial_id, status=status)

    def score_trial(self, trial: Trial) -> None:
        """Scores a trial that was stopped before its last fold by results.no_better."""
        super().score_trial(trial)
        if not (trial.metrics.exists(results.STOPPED) and trial.metrics.exists(f"{results.FOLD}0")):
            return
        others = [
            other.score
            for other in self.trials.values()
            if other.status == TrialStatus.COMPLETED and not other.metrics.exists(results.STOPPED)
        ]
        trial.score = results.no_better(trial.score, others, self.objective.direction)

    def _is_bad(self, trial: Trial, step: int) -> bool:
        others = [
            reports
            for other in self.trials.values()
            if other.status == TrialStatus.COMPLETED and (reports := _reports(other, step))
        ]
        if not self.early_stopping or len(others) < _MIN_COMPARED:
            return False
        median = statistics.median(statistics.fmean(reports) for reports in others)
        reports = _reports(trial, step)
        return min(reports) > median if self.objective.direction == "min" else max(reports) < median

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "seconds": self.seconds}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._seconds_before, self._started = state["seconds"], time.monotonic()


def _reports(trial: Trial, step: int) -> list[float]:
    """Returns a trial's finite results up to a step."""
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
    """Returns the oracle of a search; `epochs` is the most that Hyperband trains a trial for."""
    common = {
        "objective": objective,
        "hyperparameters": space,
        "allow_new_entries": False,
        "seed": search.seed,
        # Many points of a range may fail, such as learning rates that make the loss infinite.
        "max_consecutive_failed_trials": max(10, search.trials // 2),
    }
    oracle: Bounded
    if search.algorithm == "hyperband":
        # As many rounds of brackets as the trials allow; by default Hyperband ends after one round.
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

"""Lets a killed search go on as if it had not been: with the same trials, and the same best of them.

KerasTuner keeps a search in files that it writes one after the other: a trial's (trial.json), the oracle's
(oracle.json), the tuner's. A kill may come between any two of them. The oracle's decides: a trial whose start it does
not hold has not started, and one whose end it does not hold is run again.
"""

import json
from pathlib import Path
from typing import Any

from keras_tuner.src.engine import stateful
from keras_tuner.src.engine.metrics_tracking import MetricsTracker
from keras_tuner.src.engine.oracle import Oracle, synchronized
from keras_tuner.src.engine.trial import Trial, TrialStatus
from keras_tuner.src.tuners.bayesian import BayesianOptimizationOracle
from keras_tuner.src.tuners.gridsearch import GridSearchOracle, LinkedList

from penstock.core.files import atomic
from penstock.trainer.tuning.oracles import REPORT

type State = dict[str, Any]

_SAVE = stateful.Stateful.save
_SET_STATE = Oracle.set_state
_BAYESIAN_STATE = BayesianOptimizationOracle.get_state
_SET_BAYESIAN_STATE = BayesianOptimizationOracle.set_state


def prepare() -> None:
    """Makes KerasTuner write whole files, and save and restore all that its oracles decide by.

    It changes KerasTuner's classes, since a user's tuner_fn may take any of its oracles, or classes made of them.
    """
    stateful.Stateful.save = _save
    Oracle.set_state = _set_state
    GridSearchOracle.get_state = _grid_state
    GridSearchOracle.set_state = _set_grid_state
    GridSearchOracle.end_trial = _end_grid_trial
    BayesianOptimizationOracle.get_state = _bayesian_state
    BayesianOptimizationOracle.set_state = _set_bayesian_state


def _save(self: stateful.Stateful, fname: str) -> str:
    """Writes the file atomically: otherwise a process that is killed may leave half of it."""
    if "://" in str(fname):
        return str(_SAVE(self, fname))
    text = json.dumps(self.get_state())
    atomic.write_text(Path(fname), text)
    return text


def _set_state(self: Oracle, state: State) -> None:
    """Restores an oracle, with the trials in the order of their starts: of equally good ones the first is the best."""
    _SET_STATE(self, state)
    self.trials = {trial_id: self.trials[trial_id] for trial_id in self.start_order}
    # At the end of a trial, KerasTuner saves the oracle before it takes the trial from those under way.
    settled = {*self.end_order, *self._retry_queue}
    self.ongoing_trials = {
        tuner_id: trial for tuner_id, trial in self.ongoing_trials.items() if trial.trial_id not in settled
    }
    for trial in self.ongoing_trials.values():
        _begin_again(trial)


def _begin_again(trial: Trial) -> None:
    """Forgets the result of an attempt that did not end: KerasTuner would take it for that of the next one.

    What was reported at its steps stays, since the next attempt may go on from a checkpoint after them.
    """
    trial.status, trial.score, trial.best_step, trial.message = TrialStatus.RUNNING, None, 0, None
    reports = trial.metrics.metrics.get(REPORT)
    trial.metrics = MetricsTracker()
    if reports is not None:
        trial.metrics.metrics[REPORT] = reports


def _grid_state(self: GridSearchOracle) -> State:
    """Adds the trials in the order of their values, and those whose next values are still to be tried."""
    ordered = self._ordered_ids
    ids, index = [], ordered._next_index[None]
    while index is not None:
        ids.append(ordered._memory[index])
        index = ordered._next_index[index]
    state: State = super(GridSearchOracle, self).get_state()
    return {**state, "ordered_ids": ids, "populate_next": self._populate_next}


def _set_grid_state(self: GridSearchOracle, state: State) -> None:
    super(GridSearchOracle, self).set_state(state)
    self._ordered_ids, self._populate_next = LinkedList(), state["populate_next"]
    for trial_id in state["ordered_ids"]:
        self._ordered_ids.insert(trial_id)


@synchronized  # type: ignore[untyped-decorator]
def _end_grid_trial(self: GridSearchOracle, trial: Trial) -> None:
    """As KerasTuner's, which queues the trial only after it has saved the queue."""
    self._populate_next.append(trial.trial_id)
    super(GridSearchOracle, self).end_trial(trial)


def _bayesian_state(self: BayesianOptimizationOracle) -> State:
    """Adds the generator of the points from which the best values are looked for."""
    kind, keys, *rest = self._random_state.get_state()
    return {**_BAYESIAN_STATE(self), "random_state": [kind, keys.tolist(), *rest]}


def _set_bayesian_state(self: BayesianOptimizationOracle, state: State) -> None:
    _SET_BAYESIAN_STATE(self, state)
    self._random_state.set_state(state["random_state"])

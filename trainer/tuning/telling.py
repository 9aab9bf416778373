"""Reports the progress of a search in our own lines, in place of what KerasTuner prints.

If the fit_kwargs of a tuner_fn have `verbose`, KerasTuner prints as well; with 0, nothing is reported.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from keras_tuner.src.engine import base_tuner
from keras_tuner.src.engine.hyperparameters.hyperparameter import HyperParameter
from keras_tuner.src.engine.oracle import Display, Oracle
from keras_tuner.src.engine.trial import Trial, TrialStatus

from penstock.core import progress
from penstock.trainer.tuning.settings import Value

_RELOADING = "Reloading Tuner from"
logger = logging.getLogger(__name__)


def begin(oracle: Oracle, fit_kwargs: Mapping[str, Any]) -> None:
    """Reports the search space and the trials of an earlier run; from now on, the end of each trial is reported."""
    if "verbose" in fit_kwargs:
        oracle.verbose = fit_kwargs["verbose"]
    oracle._display = _Display(oracle, prints="verbose" in fit_kwargs)
    if oracle.verbose < 1:
        return
    for entry in oracle.hyperparameters.space:  # empty where only building a model defines the hyperparameters
        logger.info("%s", _range(entry))
    if oracle.trials:
        under_way = sum(trial.status == TrialStatus.RUNNING for trial in oracle.trials.values())
        ended = len(oracle.trials) - under_way
        sentence = f"the search goes on: of its trials {ended:,} have ended, {under_way:,} were under way"
        logger.info("%s", sentence)
        progress.say(sentence)


@contextlib.contextmanager
def without_reloading() -> Iterator[None]:
    """Suppresses KerasTuner's line about the file from which it resumes: `begin` reports what that holds."""

    def print_others(*values: object, **options: Any) -> None:
        if not str(values[0] if values else "").startswith(_RELOADING):
            print(*values, **options)

    base_tuner.print = print_others
    try:
        yield
    finally:
        del base_tuner.print


class _Display(Display):  # type: ignore[misc]
    """Replaces KerasTuner's display of an oracle's trials; `prints` tells whether that is shown as well."""

    def __init__(self, oracle: Oracle, prints: bool) -> None:
        super().__init__(oracle, oracle.verbose)
        self.set_state(oracle._display.get_state())
        self._prints = prints

    def on_trial_begin(self, trial: Trial) -> None:
        if self._prints:
            super().on_trial_begin(trial)

    def on_trial_end(self, trial: Trial) -> None:
        if self._prints:
            super().on_trial_end(trial)
        if self.verbose >= 1:
            sentence = _ended(self.oracle, trial)
            logger.info("%s", sentence)
            progress.say(sentence)


def _ended(oracle: Oracle, trial: Trial) -> str:
    """Returns a line such as "trial 2: val_loss 0.031, the best so far, with width 128; 3 of 4 trials have ended"."""
    (best, *_) = oracle.get_best_trials() or [None]
    if best is not None and best.status != TrialStatus.COMPLETED:
        best = None  # if none has completed, KerasTuner returns a failed trial, which has no score
    if trial.status == TrialStatus.COMPLETED:
        result = f"trial {trial.trial_id}: {oracle.objective.name} {trial.score:.4g}"
    else:
        lines = (trial.message or "").strip().splitlines() or ["its score was not a number"]
        again = "" if trial.status == TrialStatus.FAILED else " and is tried again"
        result = f"trial {trial.trial_id} failed{again}: {lines[-1]}"
    if trial is best:
        values = ", ".join(f"{name} {_value(value)}" for name, value in trial.hyperparameters.values.items())
        result += ", the best so far" + (f", with {values}" if values else "")
    elif best is not None:
        result += f"; the best so far is {best.score:.4g}, of trial {best.trial_id}"
    most = f" of {oracle.max_trials:,}" if oracle.max_trials else ""
    return f"{result}; {len(oracle.end_order):,}{most} trials have ended"


def _range(entry: HyperParameter) -> str:
    """Returns a line such as "searched: width, 32 to 128, step 32"."""
    config = entry.get_config()
    if "min_value" in config:
        step = f", step {_value(config['step'])}" if config["step"] is not None else ""
        scale = "" if config["sampling"] in (None, "linear") else f", {config['sampling']}"
        return f"searched: {entry.name}, {_value(config['min_value'])} to {_value(config['max_value'])}{step}{scale}"
    return f"searched: {entry.name}, {', '.join(map(_value, entry.values))}"


def _value(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

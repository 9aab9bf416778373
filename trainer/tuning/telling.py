"""What a person is told of a search while it goes on, in place of what KerasTuner prints.

A tuner_fn whose fit_kwargs have `verbose` has KerasTuner's own words as well, or with 0 nothing at all.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from keras_tuner.src.engine import base_tuner
from keras_tuner.src.engine import oracle as oracle_module
from keras_tuner.src.engine.trial import TrialStatus

from penstock.core import progress

_RELOADING = "Reloading Tuner from"
logger = logging.getLogger(__name__)


def begin(oracle: Any, fit_kwargs: Mapping[str, Any]) -> None:
    """Logs the search space and which trials are there already, and from now on tells the end of each trial."""
    if "verbose" in fit_kwargs:
        oracle.verbose = fit_kwargs["verbose"]
    oracle._display = _Display(oracle, asked="verbose" in fit_kwargs)
    if oracle.verbose < 1:
        return
    for entry in oracle.hyperparameters.space:  # empty where the model itself says, as it is built, what there is
        logger.info("%s", _range(entry))
    if oracle.trials:
        under_way = sum(trial.status == TrialStatus.RUNNING for trial in oracle.trials.values())
        ended = len(oracle.trials) - under_way
        sentence = f"the search goes on: of its trials {ended:,} have ended, {under_way:,} were under way"
        logger.info("%s", sentence)
        progress.say(sentence)


@contextlib.contextmanager
def without_reloading() -> Iterator[None]:
    """Keeps back the line in which KerasTuner names the file that it goes on from: `begin` tells what it has read."""

    def told(*values: Any, **options: Any) -> None:
        if not str(values[0] if values else "").startswith(_RELOADING):
            print(*values, **options)

    base_tuner.print = told
    try:
        yield
    finally:
        del base_tuner.print


class _Display(oracle_module.Display):  # type: ignore[misc]
    """Stands in for KerasTuner's, which an oracle tells of its trials; `asked` whether its words are wanted too."""

    def __init__(self, oracle: Any, asked: bool) -> None:
        super().__init__(oracle, oracle.verbose)
        self.set_state(oracle._display.get_state())
        self._asked = asked

    def on_trial_begin(self, trial: Any) -> None:
        if self._asked:
            super().on_trial_begin(trial)

    def on_trial_end(self, trial: Any) -> None:
        if self._asked:
            super().on_trial_end(trial)
        if self.verbose >= 1:
            sentence = _ended(self.oracle, trial)
            logger.info("%s", sentence)
            progress.say(sentence)


def _ended(oracle: Any, trial: Any) -> str:
    """Returns "trial 2: val_log_loss 0.03105, the best so far, with width 128; 3 of 4 trials have ended"."""
    (best, *_) = oracle.get_best_trials() or [None]
    if best is not None and best.status != TrialStatus.COMPLETED:
        best = None  # where none has completed, KerasTuner gives one that failed, without a score
    if trial.status == TrialStatus.COMPLETED:
        told = f"trial {trial.trial_id}: {oracle.objective.name} {trial.score:.4g}"
    else:
        lines = (trial.message or "").strip().splitlines() or ["its score was not a number"]
        again = "" if trial.status == TrialStatus.FAILED else " and is tried again"
        told = f"trial {trial.trial_id} failed{again}: {lines[-1]}"
    if trial is best:
        values = ", ".join(f"{name} {_value(of)}" for name, of in _values(trial).items())
        told += ", the best so far" + (f", with {values}" if values else "")
    elif best is not None:
        told += f"; the best so far is {best.score:.4g}, of trial {best.trial_id}"
    most = f" of {oracle.max_trials:,}" if oracle.max_trials else ""
    return f"{told}; {len(oracle.end_order):,}{most} trials have ended"


def _range(entry: Any) -> str:
    """Returns "searched: width, 32 to 128, step 32"."""
    config = entry.get_config()
    if "min_value" in config:
        step = f", step {_value(config['step'])}" if config["step"] is not None else ""
        scale = "" if config["sampling"] in (None, "linear") else f", {config['sampling']}"
        return f"searched: {entry.name}, {_value(config['min_value'])} to {_value(config['max_value'])}{step}{scale}"
    return f"searched: {entry.name}, {', '.join(map(_value, entry.values))}"


def _values(trial: Any) -> dict[str, Any]:
    return dict(trial.hyperparameters.values)


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""Searches without a result, told in a sentence: what KerasTuner raises, and what it leaves unsaid."""

import contextlib
from collections.abc import Iterator
from typing import Any

from keras_tuner.src.engine.trial import TrialStatus

from penstock.components.errors import ModuleError


def require_success(oracle: Any) -> None:
    """Raises a ModuleError if no trial of a search completed."""
    if any(trial.status == TrialStatus.COMPLETED for trial in oracle.trials.values()):
        return
    if not oracle.trials:
        raise ModuleError("the search made no trial: expected a tuner with at least one, and a search space to try")
    raise _all_failed(oracle, f"none of the {len(oracle.trials)} trials succeeded")


@contextlib.contextmanager
def told(oracle: Any) -> Iterator[None]:
    """What KerasTuner raises after trial upon trial has failed becomes a sentence about the last of them."""
    try:
        yield
    except (ModuleError, RuntimeError) as error:
        failed = [trial for trial in oracle.trials.values() if trial.status == TrialStatus.FAILED]
        cause = error.__cause__ if isinstance(error, ModuleError) else error
        if not failed or not isinstance(cause, RuntimeError):
            raise
        raise _all_failed(oracle, f"{oracle.max_consecutive_failed_trials} trials in a row failed") from None


def all_failed(what: str, error: str, details: str = "") -> ModuleError:
    """Returns what ends a search without a result. `error` and `details` are the last trial's."""
    return ModuleError(f"tuner: {what}; the last one: {error}", details)


def _all_failed(oracle: Any, what: str) -> ModuleError:
    """The message of a trial is its traceback; its last line says what was raised."""
    ended = [oracle.trials[trial_id] for trial_id in oracle.end_order]
    message = next((trial.message for trial in reversed(ended) if trial.message), "")
    lines = message.strip().splitlines() or ["its score was not a number"]
    return all_failed(what, lines[-1], "\n".join(lines[:-1]))

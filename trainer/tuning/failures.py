"""Searches without a result, told in a sentence: what KerasTuner raises, and what it leaves unsaid."""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_tuner.src.engine.trial import TrialStatus

from penstock.core import errors
from penstock.core.errors import ModuleError, PenstockError


def require_success(oracle: Any) -> None:
    """Raises a ModuleError if no trial of a search completed."""
    if any(trial.status == TrialStatus.COMPLETED for trial in oracle.trials.values()):
        return
    if not oracle.trials:
        raise ModuleError("the search made no trial: expected a tuner with at least one, and a search space to try")
    raise _all_failed(oracle, f"none of the {len(oracle.trials)} trials succeeded")


@contextlib.contextmanager
def told(oracle: Any) -> Iterator[None]:
    """What KerasTuner raises after trial upon trial has failed becomes a sentence about the last of them.

    An infinite score is a failure as well: it would be the best for ever, and has no place in a plot or in JSON.
    """
    score_trial = oracle.score_trial

    def score(trial: Any) -> None:
        score_trial(trial)
        if not math.isfinite(trial.score):
            trial.score = math.nan  # which KerasTuner takes for a failure

    oracle.score_trial = score
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
    if lines[-1] == f"KeyError: {oracle.objective.name!r}":  # which is all that KerasTuner says
        lines[-1] = f"its model does not measure the objective {oracle.objective.name!r}"
    return all_failed(what, lines[-1], "\n".join(lines[:-1]))


def said(error: PenstockError) -> dict[str, str]:
    """Returns an error as one process of a search tells it to another."""
    return {"type": type(error).__name__, "message": error.message, "details": error.details}


def raised(told: Mapping[str, str]) -> PenstockError:
    """Returns the error that another process told of."""
    kind = getattr(errors, told["type"], ModuleError)
    return kind(told["message"], told["details"])  # type: ignore[no-any-return]


def read(path: Path) -> PenstockError:
    """Returns the error that a worker left in a file."""
    return raised(json.loads(path.read_text()))

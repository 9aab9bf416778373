"""Errors of a search: one sentence for a search without a result, and how processes pass errors to each other."""

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from keras_tuner.src.engine.oracle import Oracle
from keras_tuner.src.engine.trial import Trial, TrialStatus

from penstock.core import errors
from penstock.core.credentials import masks
from penstock.core.errors import ModuleError, PenstockError

_TOO_MANY = "Number of consecutive failures exceeded the limit"  # how KerasTuner's error begins


class FailureRecord(TypedDict):
    """An error as JSON: the name of its class in penstock.core.errors, and its fields."""

    type: str
    message: str
    details: str


def require_success(oracle: Oracle) -> None:
    """Raises a ModuleError if no trial of a search completed."""
    if any(trial.status == TrialStatus.COMPLETED for trial in oracle.trials.values()):
        return
    if not oracle.trials:
        raise ModuleError("the search made no trial: expected a tuner with at least one, and a search space to try")
    raise _all_failed(oracle, f"none of the {len(oracle.trials)} trials succeeded")


@contextlib.contextmanager
def explained(oracle: Oracle) -> Iterator[None]:
    """Turns KerasTuner's error about many failed trials into a ModuleError about the last of them.

    A trial with an infinite score fails as well: that score would stay the best for ever, and JSON has no such number.
    """
    score_trial = oracle.score_trial

    def score(trial: Trial) -> None:
        score_trial(trial)
        if not math.isfinite(trial.score):
            trial.score = math.nan  # for KerasTuner, a trial with this score has failed

    oracle.score_trial = score
    try:
        yield
    except (ModuleError, RuntimeError) as error:
        failed = [trial for trial in oracle.trials.values() if trial.status == TrialStatus.FAILED]
        cause = error.__cause__ if isinstance(error, ModuleError) else error
        if not failed or not isinstance(cause, RuntimeError) or not str(cause).startswith(_TOO_MANY):
            raise
        raise _all_failed(oracle, f"{oracle.max_consecutive_failed_trials} trials in a row failed") from None


def all_failed(summary: str, error: str, details: str = "") -> ModuleError:
    """Returns the error of a search without a result.

    summary: such as "none of the 3 trials succeeded". error, details: the error of the last trial, and its traceback.
    """
    return ModuleError(f"tuner: {summary}; the last one: {error}", details)


def _all_failed(oracle: Oracle, summary: str) -> ModuleError:
    """Returns the error with the message of the last failed trial: a traceback, whose last line is the error."""
    ended = [oracle.trials[trial_id] for trial_id in oracle.end_order]
    message = next((trial.message for trial in reversed(ended) if trial.message), "")
    lines = message.strip().splitlines() or ["its score was not a number"]
    if lines[-1] == f"KeyError: {oracle.objective.name!r}":  # all that KerasTuner says about an unknown objective
        lines[-1] = f"its model does not measure the objective {oracle.objective.name!r}"
    return all_failed(summary, lines[-1], "\n".join(lines[:-1]))


def to_record(error: PenstockError) -> FailureRecord:
    """Returns an error as JSON, for another process of the search, with masks in place of credentials."""
    message, details = masks.masked(error.message), masks.masked(error.details)
    return {"type": type(error).__name__, "message": message, "details": details}


def from_record(record: FailureRecord) -> PenstockError:
    """Returns the error that `to_record` described; an unknown type becomes a ModuleError."""
    kind = getattr(errors, record["type"], ModuleError)
    return kind(record["message"], record["details"])  # type: ignore[no-any-return]


def read(path: Path) -> PenstockError:
    """Returns the error whose record is in this file."""
    return from_record(json.loads(path.read_text()))

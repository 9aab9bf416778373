"""Runs of retrainings: how one is started, and what has become of it, on whatever runs pipelines."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from penstock.core.artifacts.retraining import Retraining, Server
from penstock.core.errors import PenstockError, UserError
from penstock.core.services.transport import Refused

MOST_ATTEMPTS = 3
_OF_WHO_ASKS = (401, 403, 404)  # Vertex AI answers 404 for a project and for a run that are not there
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run of a retraining. `status` "lost" is that of one that has ended early since its process was killed."""

    id: str
    link: str
    status: Literal["running", "done", "failed", "lost"]
    seconds: float = 0.0
    error: str = ""


class Runs(ABC):
    """What runs the training pipeline."""

    name: ClassVar[Server]

    @abstractmethod
    def find(self, retraining: Retraining) -> Run | None:
        """Returns the run of a retraining, by its name; None if there is none."""

    @abstractmethod
    def start(self, retraining: Retraining) -> Run:
        """Starts the run of a retraining, or says that this process is about to; a PenstockError if it cannot be."""


def may_start(runs: Runs, retraining: Retraining) -> bool:
    """Whether no other server was asked for a retraining, which may run there."""
    return retraining.get("server", "") in ("", runs.name)


def settle(retrainings: Iterable[Retraining], runs: Runs) -> None:
    """Writes into retrainings what has become of their runs. Where nobody knows they stay as they are."""
    for one in retrainings:
        if one["status"] != "running" or not may_start(runs, one):
            continue
        try:
            run = runs.find(one)
        except PenstockError as error:
            logger.warning("%s: nobody knows how its run stands: %s", one["id"], error.message)
            continue
        if run is not None and run.status != "lost":
            _write(one, run)
        elif one["attempts"] < MOST_ATTEMPTS:
            one["status"] = "due"
        else:
            one.update({"status": "failed", "error": f"its run was lost {MOST_ATTEMPTS} times"})


def start(retraining: Retraining, runs: Runs) -> None:
    """Starts the run of a retraining that is due, unless there is one already.

    Raises why it cannot be started. It stays due; but one whose run is refused as often as may be has failed.
    """
    try:
        run = runs.find(retraining)
        if run is None or run.status == "lost":
            run = _started(retraining, runs)
    except PenstockError as error:
        retraining["error"] = error.message
        raise
    _write(retraining, run)


def _started(retraining: Retraining, runs: Runs) -> Run:
    try:
        run = runs.start(retraining)
    except UserError as error:
        if not _is_of_who_asks(error):
            retraining["attempts"] += 1
            if retraining["attempts"] >= MOST_ATTEMPTS:
                retraining["status"] = "failed"
        raise
    retraining["attempts"] += 1
    logger.info("retraining %s started: %s", retraining["id"], run.link or run.id)
    return run


def _is_of_who_asks(error: UserError) -> bool:
    """Whether a server would take the same run from who is signed in, has the role, or asks at the right address."""
    refused = error.__context__  # a ServerError has no status of its own
    return isinstance(refused, Refused) and refused.answer.status in _OF_WHO_ASKS


def _write(retraining: Retraining, run: Run) -> None:
    retraining.update({"run": run.id, "link": run.link, "seconds": run.seconds, "error": run.error})
    retraining["status"] = "due" if run.status == "lost" else run.status

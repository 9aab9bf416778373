"""The work of Retrainer: decides on a window, writes the decision down, and starts the run that it leads to."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.components.retrainer import decisions, runs
from penstock.components.retrainer.decisions import Observed
from penstock.components.retrainer.policy import Policy
from penstock.components.retrainer.runs import Runs
from penstock.components.retrainer.state import RETRAININGS, State, of_pipeline
from penstock.core.artifacts.retraining import Retraining, RetrainingDecision
from penstock.core.errors import PenstockError
from penstock.core.state import open_folder


@dataclass(frozen=True)
class Changed[Result]:
    """What a change came to, the retrainings that were started after it, and why one could not be."""

    result: Result
    started: list[Retraining]
    error: PenstockError | None = None


def decide(
    folder: str, observed: Observed, policy: Policy, server: Runs, now: datetime | None = None
) -> Changed[RetrainingDecision]:
    """Decides on a window, and starts what is due."""
    moment = now or datetime.now(UTC)
    return change(folder, observed.pipeline, server, lambda state: decisions.decide(state, observed, policy, moment))


def change[Result](folder: str, pipeline: str, server: Runs, edit: Callable[[State], Result]) -> Changed[Result]:
    """Changes the state of a pipeline's retrainings, and starts what is due: also what an earlier run could not start.

    The state is written before anything is started. What cannot be started stays due, and its error is returned.
    """
    opened = open_folder(folder, RETRAININGS)
    started: list[Retraining] = []
    with opened.held():
        state = opened.read()
        runs.settle(of_pipeline(state, pipeline), server)
        result = edit(state)
        opened.write(state)
        for one in of_pipeline(state, pipeline):
            if one["status"] != "due":
                continue
            try:
                runs.start(one, server)
            except PenstockError as error:
                return Changed(result, started, error)
            started.append(one)
            opened.write(state)
    return Changed(result, started)

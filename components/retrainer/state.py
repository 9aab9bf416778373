"""What the Retrainer remembers from run to run.

A retraining is written down before its run is started, with the name that the run gets: so a run of the Retrainer that
dies at any moment has either decided on a retraining and owes its start, or has not decided on it. Whoever starts it
looks first for a run of that name.
"""

import functools
from typing import Literal, TypedDict

from pydantic import TypeAdapter

from penstock.core.artifacts.retraining import Retraining, RetrainingState
from penstock.core.state.folder import Kind

KEPT = 200  # retrainings, and baselines


class State(TypedDict):
    """The retrainings, the oldest first; and by a baseline's URI when its model was first monitored (ISO 8601).

    The newest of both are kept, and each retraining that has not ended.
    """

    version: Literal[1]
    retrainings: list[Retraining]
    since: dict[str, str]


def empty() -> State:
    return State(version=1, retrainings=[], since={})


def of_pipeline(state: State, pipeline: str) -> list[Retraining]:
    """Returns a pipeline's retrainings, the oldest first; several pipelines may share a folder."""
    return [one for one in state["retrainings"] if one["pipeline"] == pipeline]


@functools.cache
def _form() -> TypeAdapter[State]:
    return TypeAdapter(State)


RETRAININGS = Kind(
    _form, empty, RetrainingState, of="retrainings", lost="those that wait or are under way are forgotten"
)

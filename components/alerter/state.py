"""What the Alerter remembers from run to run: what was decided, and which messages wait for which channel (the outbox).

It is written before anything is sent: so a run that dies at any moment has either decided on a window and owes its
messages, or has not decided on it.
"""

import functools
from typing import Literal, TypedDict

from pydantic import TypeAdapter

from penstock.components.alerter.decisions import ModelTracks
from penstock.core.artifacts.alerts import AlertEvent, AlertState, Severity
from penstock.core.state.folder import Kind


class Message(TypedDict):
    """What channels are told. `id` is its deduplication key: that of its first event, or the summary's own.

    It is of an event, or of several that are alike: measures of a feature, in a window. A summary has the events of
    several messages, where a channel may get only so many. `made` is when (ISO 8601), and `waits` the names of the
    channels that have not taken it.
    """

    id: str
    severity: Severity
    events: list[AlertEvent]
    is_summary: bool
    made: str
    waits: list[str]


class DecidedWindow(TypedDict):
    """The window of a model that was decided on last, and its events: a task that is run again says the same."""

    begin: str
    end: str
    events: list[AlertEvent]


class State(TypedDict):
    """What is remembered: by model, its tracks and last window; by channel, when its people were told (ISO 8601)."""

    version: Literal[1]
    tracks: dict[str, ModelTracks]
    decided: dict[str, DecidedWindow]
    outbox: list[Message]
    told: dict[str, list[str]]


def empty() -> State:
    return State(version=1, tracks={}, decided={}, outbox=[], told={})


@functools.cache
def _form() -> TypeAdapter[State]:
    return TypeAdapter(State)


ALERTS = Kind(_form, empty, AlertState, of="alerts", lost="alerts that are open are told anew")

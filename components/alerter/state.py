"""What the Alerter remembers from run to run: what was decided, and which messages wait for which channel (the outbox).

It is written before anything is sent: so a run that dies at any moment has either decided on a window and owes its
messages, or has not decided on it.
"""

import functools
from collections.abc import Iterable
from typing import Literal, NotRequired, TypedDict

from pydantic import TypeAdapter

from penstock.components.alerter.decisions import ModelTracks
from penstock.core.artifacts.alerts import AlertEvent, AlertState, Severity
from penstock.core.artifacts.retraining import HoldKind, RetrainingNotice
from penstock.core.state.folder import Kind


class Message(TypedDict):
    """What channels are told. `id` is its deduplication key: that of its first event or notice, or the summary's own.

    It is of an event, or of several that are alike: measures of a feature, in a window; or of what has become of a
    retraining. A summary has what several messages have, where a channel may get only so many. `made` is when (ISO
    8601), and `waits` the names of the channels that have not taken it.
    """

    id: str
    severity: Severity
    events: list[AlertEvent]
    retrainings: NotRequired[list[RetrainingNotice]]
    is_summary: bool
    made: str
    waits: list[str]


class DecidedWindow(TypedDict):
    """The window of a model that was decided on last, and its events: a task that is run again says the same."""

    begin: str
    end: str
    events: list[AlertEvent]


class Noticed(TypedDict):
    """What was told of a pipeline's retrainings: the newest notices, by their ids, and what holds one back now."""

    ids: list[str]
    holds: list[HoldKind]


class State(TypedDict):
    """What is remembered: by model, its tracks and last window; by pipeline, what was told of its retrainings; by
    channel, when its people were told (ISO 8601)."""

    version: Literal[1]
    tracks: dict[str, ModelTracks]
    decided: dict[str, DecidedWindow]
    outbox: list[Message]
    told: dict[str, list[str]]
    noticed: NotRequired[dict[str, Noticed]]


def retrainings(message: Message) -> list[RetrainingNotice]:
    """Returns what a message tells of retrainings."""
    return message.get("retrainings", [])


def model(message: Message) -> str:
    """Returns the model that a message is of."""
    if message["events"]:
        return message["events"][0]["alert"]["model"]
    return retrainings(message)[0]["model"]


def subjects(messages: Iterable[Message]) -> set[str]:
    """Returns the ids of the alerts and the retrainings that messages tell of, each of which is told in its order."""
    found = set[str]()
    for message in messages:
        found |= {event["alert"]["id"] for event in message["events"]}
        found |= {notice["retraining"] or notice["id"] for notice in retrainings(message)}
    return found


def empty() -> State:
    return State(version=1, tracks={}, decided={}, outbox=[], told={})


@functools.cache
def _form() -> TypeAdapter[State]:
    return TypeAdapter(State)


ALERTS = Kind(_form, empty, AlertState, of="alerts", lost="alerts that are open are told anew")

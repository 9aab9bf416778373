"""The outbox: messages that are written down before they are sent, and struck off one by one as channels take them.

A run that dies in between leaves what it owes, and the next one sends it. Where it dies after a channel has taken a
message and before that is written down, the message is sent again, with the same id.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from penstock.components.alerter import decisions, messages, pacing
from penstock.components.alerter.channels.channel import Channel
from penstock.components.alerter.decisions import Window
from penstock.components.alerter.settings import Settings
from penstock.components.alerter.state import DecidedWindow, Message, State, subjects
from penstock.components.alerter.state import model as model_of
from penstock.core.artifacts.alerts import AlertEvent
from penstock.core.errors import NoServer, PenstockError, ServerError, SystemFailure
from penstock.core.state.folder import Folder

_MOST_REFUSALS = 10  # by a channel that takes nothing in a run: then its address is wrong, not the messages
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A channel that did not take a message, and why."""

    channel: str
    error: PenstockError


def decide(
    state: State, windows: Sequence[Window], settings: Settings, channels: Sequence[Channel], now: datetime
) -> list[AlertEvent]:
    """Decides on windows of a model, and puts the messages into the outbox; returns their events, also a second time.

    The last is the newest, by which a second time is known. The state is to be written before anything is delivered.
    """
    window = windows[-1]
    model, events = window.model, list[AlertEvent]()
    tracks = state["tracks"].get(model)
    for one in windows:
        tracks, own = decisions.decide(tracks, one, settings.policy)
        events += own
    assert tracks is not None
    last = state["decided"].get(model)
    is_again = last is not None and (last["begin"], last["end"]) == (window.begin, window.end)
    known = last["events"] if last and is_again else []
    state["tracks"][model] = tracks
    state["decided"][model] = DecidedWindow(begin=window.begin, end=window.end, events=[*known, *events])
    _forget_others(state, model, {channel.name for channel in channels})
    changed = {event["alert"]["id"] for event in events}
    state["outbox"] = [message for message in state["outbox"] if not _is_outdated(message, changed)]
    state["outbox"] += _messages(events, channels, now)
    return state["decided"][model]["events"]


def deliver(
    state: State, model: str, folder: Folder[State], settings: Settings, channels: Sequence[Channel], now: datetime
) -> list[Failure]:
    """Tells the channels what is due of a model; returns which of them did not take it. What they did not take stays.

    After a message that is refused, no later one of its alerts or its retraining is sent: an end is not to be told
    before its beginning.
    """
    failures = []
    for channel in channels:
        refusals, is_taking = 0, False
        refused: set[str] = set()
        for batch in channel.batches(_due(state, model, folder, settings, channel, now)):
            if refused & subjects(batch):
                continue
            error = _send(channel, batch)
            is_refusal = error is not None and _may_take_another(error)
            if error:
                failures.append(Failure(channel.name, error))
            else:
                is_taking = True
                _strike_off(state, channel, batch, now)
            if is_refusal:
                refusals += 1
                refused |= subjects(batch)
                _put_last(state, batch)
            folder.write(state)  # after a failure, too: others see that this run goes on
            if (error and not is_refusal) or (refusals >= _MOST_REFUSALS and not is_taking):
                break
    return failures


def waiting(state: State, model: str) -> dict[str, int]:
    """Returns how many messages of a model wait for each channel."""
    counts: dict[str, int] = {}
    for message in _of_model(state, model):
        for name in message["waits"]:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _send(channel: Channel, batch: Sequence[Message]) -> PenstockError | None:
    """Tells a channel; returns why it did not take the batch. A fault in one channel costs the others nothing."""
    try:
        channel.send(batch)
    except PenstockError as error:
        return error
    except Exception as error:
        logger.exception("%s", channel.name)
        return SystemFailure(f"{type(error).__name__}: {error}")
    return None


def _may_take_another(error: PenstockError) -> bool:
    """Whether a channel that did not take a message may take another: it is there, and refused this one."""
    return isinstance(error, ServerError) and not isinstance(error, NoServer)


def _messages(events: Sequence[AlertEvent], channels: Sequence[Channel], now: datetime) -> list[Message]:
    """Returns the messages of a window's events: each with the channels that are told just these events in one."""
    names: dict[tuple[str, ...], list[str]] = {}
    groups: dict[tuple[str, ...], list[AlertEvent]] = {}
    for channel in channels:
        taken = [event for event in events if channel.takes(event)]
        for group in messages.by_feature(taken) if channel.by_feature else [[event] for event in taken]:
            key = tuple(event["id"] for event in group)
            groups[key] = group
            names.setdefault(key, []).append(channel.name)
    places = {event["id"]: place for place, event in enumerate(events)}
    keys = sorted(groups, key=lambda key: places[key[0]])
    return [messages.of_events(groups[key], names[key], now) for key in keys]


def _is_outdated(message: Message, changed: set[str]) -> bool:
    """Whether a message only says that an alert is still open, of which there is something newer to say."""
    if not message["events"]:
        return False
    return all(event["kind"] == "ongoing" and event["alert"]["id"] in changed for event in message["events"])


def _of_model(state: State, model: str) -> list[Message]:
    """Returns the messages of a model. Others have channels of their own, which may have the same names."""
    return [message for message in state["outbox"] if model_of(message) == model]


def _put_last(state: State, batch: Sequence[Message]) -> None:
    """Puts what was refused behind the others, so that it does not keep them from being tried.

    What is to come after it, since it has an alert or a retraining in common with it, goes along.
    """
    told, stay, go = subjects(batch), [], []
    for message in state["outbox"]:
        if told & subjects([message]):
            told |= subjects([message])
            go.append(message)
        else:
            stay.append(message)
    state["outbox"] = stay + go


def _due(
    state: State, model: str, folder: Folder[State], settings: Settings, channel: Channel, now: datetime
) -> list[Message]:
    """Returns what a channel is told now. A summary takes the place of its messages before it is sent."""
    waiting = [message for message in _of_model(state, model) if channel.name in message["waits"]]
    if not channel.for_people:
        return waiting
    told = state["told"].get(channel.name, [])
    due = pacing.due(waiting, told, settings.quiet_hours, settings.rate_limit, now)
    if not due.summarized:
        return due.single
    summary = messages.summary(due.summarized, channel.name, now)
    logger.info("%s: %d messages in one: its rate limit is reached", channel.name, len(due.summarized))
    _strike_off_names(state, channel.name, due.summarized)
    state["outbox"].append(summary)
    folder.write(state)
    return [*due.single, summary]


def _strike_off(state: State, channel: Channel, batch: Sequence[Message], now: datetime) -> None:
    _strike_off_names(state, channel.name, batch)
    if channel.for_people:
        recent = [
            moment
            for moment in state["told"].get(channel.name, [])
            if now - datetime.fromisoformat(moment) < pacing.RATE
        ]
        state["told"][channel.name] = [*recent, *[now.isoformat()] * len(batch)]


def _strike_off_names(state: State, name: str, batch: Sequence[Message]) -> None:
    taken = {message["id"] for message in batch}
    for message in state["outbox"]:
        if message["id"] in taken:
            message["waits"] = [other for other in message["waits"] if other != name]
    state["outbox"] = [message for message in state["outbox"] if message["waits"]]


def _forget_others(state: State, model: str, names: set[str]) -> None:
    """Drops what waits for channels that a model no longer has."""
    for name in sorted(waiting(state, model).keys() - names):
        messages = [message for message in _of_model(state, model) if name in message["waits"]]
        logger.warning("%d messages are dropped: there is no longer a channel %s", len(messages), name)
        _strike_off_names(state, name, messages)

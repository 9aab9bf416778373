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
from penstock.components.alerter.state import DecidedWindow, Folder, Message, State
from penstock.core.artifacts.alerts import AlertEvent
from penstock.core.errors import NoServer, PenstockError, ServerError, SystemFailure

_MOST_REFUSALS = 10  # of messages by a channel in a run: then its address is wrong, not the messages
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A channel that did not take a message, and why."""

    channel: str
    error: PenstockError


def decide(
    state: State, window: Window, settings: Settings, channels: Sequence[Channel], now: datetime
) -> list[AlertEvent]:
    """Decides on a window, and puts the messages into the outbox; returns the window's events, also a second time.

    The state is to be written before anything is delivered.
    """
    model = window.model
    tracks, events = decisions.decide(state["tracks"].get(model), window, settings.policy)
    last = state["decided"].get(model)
    is_again = last is not None and (last["begin"], last["end"]) == (window.begin, window.end)
    known = last["events"] if last and is_again else []
    state["tracks"][model] = tracks
    state["decided"][model] = DecidedWindow(begin=window.begin, end=window.end, events=[*known, *events])
    _forget_others(state, {channel.name for channel in channels})
    changed = {event["alert"]["id"] for event in events}
    state["outbox"] = [message for message in state["outbox"] if not _is_outdated(message, changed)]
    state["outbox"] += _messages(events, channels, now)
    return state["decided"][model]["events"]


def deliver(
    state: State, folder: Folder, settings: Settings, channels: Sequence[Channel], now: datetime
) -> list[Failure]:
    """Tells the channels what is due; returns which of them did not take it. What they did not take stays."""
    failures = []
    for channel in channels:
        refusals = 0
        for batch in channel.batches(_due(state, folder, settings, channel, now)):
            error = _send(channel, batch)
            if error:
                refusals += 1
                failures.append(Failure(channel.name, error))
            else:
                _strike_off(state, channel, batch, now)
            folder.write(state)  # after a failure, too: others see that this run goes on
            if error and (refusals == _MOST_REFUSALS or not _may_take_another(error)):
                break
    return failures


def waiting(state: State) -> dict[str, int]:
    """Returns how many messages wait for each channel."""
    counts: dict[str, int] = {}
    for message in state["outbox"]:
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
    return all(event["kind"] == "ongoing" and event["alert"]["id"] in changed for event in message["events"])


def _due(state: State, folder: Folder, settings: Settings, channel: Channel, now: datetime) -> list[Message]:
    """Returns what a channel is told now. A summary takes the place of its messages before it is sent."""
    waiting = [message for message in state["outbox"] if channel.name in message["waits"]]
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


def _forget_others(state: State, names: set[str]) -> None:
    """Drops what waits for channels that are no longer configured."""
    for name in sorted(waiting(state).keys() - names):
        messages = [message for message in state["outbox"] if name in message["waits"]]
        logger.warning("%d messages are dropped: there is no longer a channel %s", len(messages), name)
        _strike_off_names(state, name, messages)

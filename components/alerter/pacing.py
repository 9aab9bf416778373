"""When a channel's people are told: not in quiet hours, and not of more at once than a person reads.

What waits in quiet hours is told afterwards, by the next run. Of more than the rate limit allows, the last message is a
summary of all the others: nothing waits for a rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock.components.alerter import decisions
from penstock.components.alerter.settings import QuietHours
from penstock.components.alerter.state import Message, subjects

RATE = timedelta(hours=1)  # what the rate limit is for
_LONGEST = timedelta(days=1)  # then a message is told in quiet hours too: no run may fall outside of them


@dataclass(frozen=True)
class Due:
    """What a channel is told now: some messages by themselves, and others in a summary."""

    single: list[Message]
    summarized: list[Message]


def due(waiting: Sequence[Message], told: Sequence[str], hours: QuietHours | None, limit: int, now: datetime) -> Due:
    """Returns which of a channel's waiting messages are due; `told` is when its people were told before.

    The most severe are told by themselves. The order stays as it was.
    """
    messages = _without_quiet(waiting, hours, now)
    recent = sum(now - datetime.fromisoformat(moment) < RATE for moment in told)
    allowed = max(limit - recent, 0)
    if len(messages) <= max(allowed, 1):  # a summary of one message is that message
        return Due(messages, [])
    by_severity = sorted(messages, key=lambda message: -decisions.SEVERITIES.index(message["severity"]))
    single = {message["id"] for message in by_severity[: max(allowed - 1, 0)]}
    rest = [message for message in messages if message["id"] not in single]
    return Due([message for message in messages if message["id"] in single], rest)


def is_quiet(hours: QuietHours, now: datetime) -> bool:
    """Whether a moment is in the quiet hours, by the clock on a wall of their time zone."""
    clock = now.astimezone(hours.zone).time()
    if hours.begin < hours.end:
        return hours.begin <= clock < hours.end
    return clock >= hours.begin or clock < hours.end


def _without_quiet(waiting: Sequence[Message], hours: QuietHours | None, now: datetime) -> list[Message]:
    """Returns the messages that may be told now. With one of an alert or a retraining, the earlier ones of it are
    told, too.
    """
    if hours is None or not is_quiet(hours, now):
        return list(waiting)
    passing: set[str] = set()
    messages = []
    for message in reversed(waiting):
        told = subjects([message])
        is_urgent = hours.critical and message["severity"] == "critical"
        is_old = now - datetime.fromisoformat(message["made"]) > _LONGEST
        if is_urgent or is_old or told & passing:
            passing |= told
            messages.append(message)
    return messages[::-1]

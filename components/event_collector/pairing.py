"""Requests with their responses, in whichever order they have come."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from penstock.components.event_collector.events import Event, Key

_VERSION = re.compile(rb'"model_version"\s*:\s*"(\d{1,18})"')  # of a response of the Open Inference Protocol
_START = 4096  # bytes of a response in which it is looked for


@dataclass(frozen=True, slots=True)
class Pair:
    """A request with its response; one of them may be missing."""

    request: Event | None
    response: Event | None

    @property
    def first(self) -> Event:
        """The request, or else the response."""
        first = self.request or self.response
        assert first is not None
        return first

    @property
    def version(self) -> int:
        """The version that has answered; 0 if nobody has said which."""
        said = next((one.version for one in (self.request, self.response) if one and one.version), 0)
        if said or self.response is None:
            return said
        match = _VERSION.search(self.response.body, 0, _START)
        return int(match[1]) if match else 0

    @property
    def seconds(self) -> float | None:
        """How long the answer took, as far as both times say; None without one of them."""
        if self.request is None or self.response is None:
            return None
        return max(0, self.response.time - self.request.time) / 1e6


def pairs(events: Iterable[Event]) -> list[Pair]:
    """Returns pairs of all events, sorted by time. Of an event that is there twice the first counts."""
    halves: dict[Key, dict[str, Event]] = {}
    for event in events:
        halves.setdefault(event.key, {}).setdefault(event.type, event)
    made = [Pair(of_key.get("request"), of_key.get("response")) for of_key in halves.values()]
    return sorted(made, key=lambda pair: (pair.first.time, pair.first.key))


def waiting(events: Iterable[Event], since: int, most_bytes: int) -> list[Event]:
    """Returns the events without their other half that came at `since` or later: the newest, up to so many bytes."""
    alone = [pair.first for pair in pairs(events) if pair.request is None or pair.response is None]
    kept, size = [], 0
    for event in sorted(alone, key=lambda one: one.received, reverse=True):
        size += event.size
        if event.received < since or size > most_bytes:
            break
        kept.append(event)
    return kept[::-1]

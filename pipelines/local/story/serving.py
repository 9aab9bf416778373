"""What a run's model has where it was pushed to, as the destinations say now."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict

from penstock.core.errors import PenstockError
from penstock.pipelines.local.records.record import RunRecord

if TYPE_CHECKING:
    from penstock.components.pusher.destinations.destination import Endpoint


class ServedVersion(TypedDict):
    """A version that a run has pushed.

    Args:
        place: Where it was pushed to.
        version: Its version there.
        percent: What it has of the requests now; None where nobody knows.
        state: "serves", "canary", "previous" (a rollback brings it back), "gone", or why nobody knows.
    """

    place: str
    version: str
    percent: int | None
    state: str


def of(run: RunRecord) -> Iterator[ServedVersion]:
    """Yields what the run has pushed; asks its destinations, of which one that does not answer is no error."""
    pushed = list(run.pushed())
    endpoints = _endpoints(str(run.arguments.get("push_destination", ""))) if pushed else []
    for number, one in enumerate(pushed):
        own = [endpoints[number]] if len(endpoints) == len(pushed) else endpoints  # versions may be alike
        yield ServedVersion(place=one.place, version=one.version, **_now(one.version, own))


class _Now(TypedDict):
    percent: int | None
    state: str


def _endpoints(push_destination: str) -> "list[Endpoint | str | None]":
    """Returns what serves at each destination, in the order that they are pushed to; a sentence for what is unknown."""
    from penstock.components.pusher import destinations

    asked: list[Endpoint | str | None] = []
    try:
        places = destinations.read(push_destination)
    except PenstockError as error:
        return [error.message]
    for place in places:
        try:
            asked.append(place.endpoint())
        except PenstockError as error:
            asked.append(error.message)
    return asked


def _now(version: str, endpoints: "list[Endpoint | str | None]") -> _Now:
    unknown = [one for one in endpoints if isinstance(one, str)]
    for endpoint in endpoints:
        if endpoint is None or isinstance(endpoint, str):
            continue
        for one in endpoint.deployments:
            if one.version == version:
                state = "canary" if one.canary else "serves" if one.percent else "previous"
                return _Now(percent=one.percent, state=state)
    if unknown:
        return _Now(percent=None, state=f"not known: {unknown[0]}")
    return _Now(percent=0, state="gone")

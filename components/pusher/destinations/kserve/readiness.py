"""Waiting until KServe has done what an InferenceService says: with the reason, where it does not come to that."""

import time
from collections.abc import Callable

from penstock.components.pusher.destinations.kserve import pods
from penstock.components.pusher.destinations.kserve.client import Client
from penstock.components.pusher.destinations.kserve.pods import Complaint
from penstock.components.pusher.destinations.kserve.status import State
from penstock.core.errors import ServerError, SystemFailure
from penstock.core.services import waiting

PATIENCE = 60.0  # seconds for which a failure that Kubernetes may still overcome is waited for


def of_version(client: Client, digest: str, number: str, seconds: float, before: State | None = None) -> None:
    """Waits until the version that is in the spec is ready; `before` is the state from before it was put there.

    Raises a ServerError if it has failed, with the reason, and a SystemFailure if it takes longer than `seconds`.
    """

    def is_its(state: State) -> bool:
        return not state.is_stale and (before is None or state.is_later_than(before))

    def is_ready(state: State) -> bool:
        if state.mode == "Knative":
            return is_its(state) and state.newest_is_ready and state.ready
        return is_its(state) and state.ready and _replaced(client, digest)

    def complaint(state: State) -> Complaint:
        return why_not(client, state, digest) if is_its(state) else Complaint()

    _wait(client, is_ready, complaint, f"version {number} does not become ready", seconds)


def of_share(client: Client, revision_share: Callable[[State], bool], what: str, seconds: float) -> None:
    """Waits until the requests are split as they should be; `what` says what else is the case."""
    _wait(client, revision_share, lambda state: Complaint(state.complaint), what, seconds)


def why_not(client: Client, state: State, digest: str) -> Complaint:
    """Returns why the newest version is not ready: what its pods say, else what KServe says."""
    found = pods.of(client.server, client.name)
    said = pods.complaint(client.server, client.name, found, digest) if found is not None else Complaint()
    return Complaint(said.text or state.complaint, said.failed or state.has_failed)


def _replaced(client: Client, digest: str) -> bool:
    """Whether all pods that are ready are of a version, as far as they may be looked at."""
    found = pods.of(client.server, client.name)
    return not found or set(pods.shares(found)) <= {digest}


def _wait(
    client: Client,
    is_done: Callable[[State], bool],
    complaint: Callable[[State], Complaint],
    what: str,
    seconds: float,
) -> None:
    end = time.monotonic() + seconds
    failing: float | None = None
    while True:
        state = State.of(client.require())
        if is_done(state):
            return
        said, now = complaint(state), time.monotonic()
        failing = (failing or now) if said.failed else None
        told = f"{client.place}: {what}" + (f": {said.text}" if said.text else "")
        if failing and now - failing >= PATIENCE:
            raise ServerError(told)
        if now + waiting.PAUSE > end:
            raise SystemFailure(f"{told} (waited {seconds:.0f} s: push.kserve.timeout)")
        time.sleep(waiting.PAUSE)

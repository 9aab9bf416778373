"""The rules by which a version comes to serve and goes again, the same for every service.

A push stores the version, registers it, and deploys it beside what serves: with the canary's share, or with all
requests at once. A canary that stays healthy for `promote_after` seconds is promoted; one that does not is taken away.
Whatever fails, what was changed is undone: what served before serves everything, and the error says what is left.

A model that serves already, by its digest, is not pushed again: what is kept of its requests is set as it is configured
now. So a retry goes on where an earlier try ended: a canary
that a killed push has left is looked after to its end. While a canary of another model is on trial nothing is pushed.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from penstock.components.pusher.destinations.changes import Changes
from penstock.components.pusher.destinations.destination import (
    Candidate,
    Deployment,
    Endpoint,
    Pushed,
    Service,
)
from penstock.components.pusher.destinations.storage import Version, open_storage
from penstock.core.artifacts import SavedModel
from penstock.core.errors import ModelError, PenstockError, UserError
from penstock.core.services import waiting
from penstock.core.services.retries import AlreadyExists
from penstock.core.text import printable

logger = logging.getLogger(__name__)


def push(service: Service, serving: Path) -> Pushed:
    """Pushes the model in the folder `serving`; returns what it has of the requests then.

    Raises a ModelError if its canary was not healthy, a UserError if another canary is on trial, and what the service
    raises, with what is left behind in its details.
    """
    digest = SavedModel(serving).digest()
    endpoint = service.endpoint()
    deployed = endpoint.with_digest(digest) if endpoint else None
    if endpoint and deployed and not deployed.canary:
        logger.info("the model serves already: version %s at %s", deployed.version, service.place)
        return _configured(service, endpoint, deployed)
    if endpoint and endpoint.canary and not deployed:
        raise UserError(
            f"{service.place}: version {endpoint.canary.version} is on trial there with {endpoint.canary.percent} %: "
            "`penstock promote` or `penstock rollback` first"
        )
    with _undoing(service) as changes:
        if not deployed:
            percent = service.rollout.canary if endpoint and endpoint.current and service.rollout.canary else 100
            _deploy(service, _candidate(service, serving, digest, endpoint, changes), percent, changes)
        return _settle(service, digest, changes, found=deployed)


def _configured(service: Service, endpoint: Endpoint, deployed: Deployment) -> Pushed:
    """Has a version that serves already served by the settings that there are now."""
    notes: tuple[str, ...] = ()
    if not endpoint.canary:
        with _undoing(service) as changes:
            service.configure(changes)
        notes = _done(service, endpoint.name, deployed.version).notes if changes else ()
    return Pushed(endpoint.name, deployed.version, deployed.percent, new=False, notes=notes)


def promote(service: Service) -> Pushed:
    """Gives the canary all requests; a UserError if there is none."""
    endpoint = _require(service)
    if endpoint.canary is None:
        raise UserError(f"{service.place}: there is no canary: {_shares(endpoint)}")
    with _undoing(service) as changes:
        service.promote(endpoint.canary, changes)
    return _done(service, endpoint.name, endpoint.canary.version)


def rollback(service: Service) -> Pushed:
    """Takes the canary away, or without one brings back the previous version; a UserError if there is none."""
    endpoint = _require(service)
    with _undoing(service) as changes:
        previous = endpoint.previous
        other = endpoint.current or previous
        if endpoint.canary and other:
            service.withdraw(endpoint.canary, changes)
            return _done(service, endpoint.name, other.version)
        if previous is None:
            raise UserError(f"{service.place}: there is no version to roll back to: {_shares(endpoint)}")
        again = Candidate(previous.uri, previous.digest, changes.push, previous.reference)
        _deploy(service, again, 100, changes)
    return _done(service, endpoint.name, previous.version)


def _require(service: Service) -> Endpoint:
    endpoint = service.endpoint()
    if endpoint is None or not endpoint.deployments:
        raise UserError(f"{service.place}: no version serves there yet: the Pusher of a run pushes the first")
    return endpoint


def _candidate(service: Service, serving: Path, digest: str, endpoint: Endpoint | None, changes: Changes) -> Candidate:
    """Returns the model as a version that is stored: the previous one if it is that model, else a new one."""
    storage = open_storage(service.rollout.storage)
    previous = endpoint.previous if endpoint else None
    if previous and previous.digest == digest and storage.holds(Version(f"{storage.base}/{previous.version}")):
        return Candidate(previous.uri, digest, changes.push, previous.reference)
    version = storage.push(serving)
    changes.keep(f"version {version.number}, which serves nothing: a retry uses it; `{storage.removal(version)}`")
    return Candidate(_uri(service, version), digest, changes.push)


def _uri(service: Service, version: Version) -> str:
    """Returns where the service finds a version: here its bucket may be mounted."""
    base = service.rollout.storage
    return f"{base.rstrip('/')}/{version.number}" if "://" in base else version.place


def _deploy(service: Service, candidate: Candidate, percent: int, changes: Changes) -> None:
    service.register(candidate, changes)
    service.deploy(candidate, percent, changes)
    logger.info("version %s has %d %% at %s", candidate.version, percent, service.place)


def _settle(service: Service, digest: str, changes: Changes, found: Deployment | None) -> Pushed:
    """Looks after a version until it serves everything, or is a canary that a person is to decide about.

    `found` is the canary that an earlier push has made, which no undo of this one takes away.
    """
    end = time.monotonic() + (service.rollout.promote_after or 0)
    while True:
        endpoint = service.endpoint()
        deployed = endpoint.with_digest(digest) if endpoint else None
        if endpoint is None or deployed is None:
            raise ModelError(f"{service.place}: the version was taken away by someone else while it was on trial")
        if not deployed.canary:
            return _done(service, endpoint.name, deployed.version)
        if service.rollout.promote_after is None:
            how = "`penstock promote` gives it all requests, `penstock rollback` takes it away"
            note = f"version {deployed.version} has {deployed.percent} % at {service.place}: {how}"
            return Pushed(endpoint.name, deployed.version, deployed.percent, new=found is None, notes=(note,))
        reason = _unhealthy(service, deployed)
        if reason:
            if found:
                service.withdraw(deployed, changes)
                _done(service, endpoint.name, deployed.version)
            raise ModelError(f"{service.place}: version {deployed.version} was taken away again: {reason}")
        if time.monotonic() >= end:
            with contextlib.suppress(AlreadyExists):
                service.promote(deployed, changes)
                return _done(service, endpoint.name, deployed.version)
        time.sleep(min(waiting.PAUSE, max(0.0, end - time.monotonic())))


def _unhealthy(service: Service, deployed: Deployment) -> str:
    """Returns why a canary is not healthy, "" if it is."""
    health = service.health(deployed)
    if not health.healthy:
        return health.reason or "it is not healthy"
    highest = service.rollout.max_error_rate
    if health.error_rate is not None and health.error_rate > highest:
        return f"{health.error_rate:.2%} of its requests failed, expected at most {highest:.2%}"
    return ""


def _done(service: Service, endpoint: str, version: str) -> Pushed:
    """Cleans up after a version serves everything. What fails then undoes nothing."""
    try:
        left = service.clean_up()
    except PenstockError as error:
        left = [f"what earlier versions have left at {service.place} is still there: {error.message}"]
    for sentence in left:
        logger.warning("%s", sentence)
    return Pushed(endpoint, version, notes=tuple(left))


@contextlib.contextmanager
def _undoing(service: Service) -> Iterator[Changes]:
    """Undoes the changes if anything fails, also by Ctrl-C; the error's details say what serves and what is left."""
    changes = Changes()
    try:
        yield changes
    except BaseException as error:
        if not changes:
            raise
        left = changes.undo()
        lines = [f"{service.place}: {_serving(service)}", *(f"left behind: {one}" for one in left)]
        if isinstance(error, PenstockError):
            error.details = printable.paragraph("\n".join([*error.details.splitlines(), *lines]))
        else:
            error.add_note("\n".join(lines))
        raise


def _serving(service: Service) -> str:
    try:
        endpoint = service.endpoint()
    except PenstockError as error:
        return f"what serves now could not be asked: {error.message}"
    return _shares(endpoint) if endpoint else "nothing serves there"


def _shares(endpoint: Endpoint) -> str:
    """Says what serves what share."""
    shares = [f"version {one.version} has {one.percent} %" for one in endpoint.deployments if one.percent]
    return ", ".join(shares) or "no version has requests"

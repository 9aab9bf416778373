"""Pushing to an InferenceService: each change with its undo, and the waiting for what KServe makes of it.

A version comes in two steps, so that what served before serves everything until the new one is ready:

    canaryTrafficPercent 0     the new version is in the spec; its pods start, and no request goes there
    canaryTrafficPercent N     it has its share; without the field it has all requests

In the mode Standard there is only the first step, without a share: the Deployment replaces a pod when a new one is
ready. What is undone goes the same way: the version before stands in the spec again, and gets its requests when ready.
"""

import logging
import os
from importlib import metadata

from penstock.components.pusher.destinations.changes import Changes
from penstock.components.pusher.destinations.destination import (
    Candidate,
    Deployment,
    Endpoint,
    Health,
    Rollout,
    Service,
)
from penstock.components.pusher.destinations.kserve import manifest, pods, readiness, status
from penstock.components.pusher.destinations.kserve.client import Client, Patch
from penstock.components.pusher.destinations.kserve.manifest import Json, Version
from penstock.components.pusher.destinations.kserve.settings import Settings, no_canary
from penstock.components.pusher.destinations.kserve.status import State
from penstock.core.errors import ConfigError, PenstockError, ServerError, SystemFailure

logger = logging.getLogger(__name__)

UNDOING = 600.0  # seconds that the version before has to be ready again
PINNING = 60.0  # seconds that a revision that served before has to take the requests again


class KServe(Service):
    """An InferenceService, made by the first push."""

    key = "kserve"

    def __init__(self, rollout: Rollout, settings: Settings) -> None:
        self.rollout = rollout
        self._settings = settings
        self._client = Client(settings.name, settings.namespace)
        self._image = rollout.image or f"penstock-serving:{metadata.version('penstock')}"

    @property
    def place(self) -> str:
        return self._client.place

    def endpoint(self) -> Endpoint | None:
        service = self._client.read()
        if service is None:
            return None
        if State.of(service).mode == "Knative":
            return status.endpoint(self.place, service, self._client.revision)
        found = pods.of(self._client.server, self._settings.name)
        return status.endpoint(self.place, service, shares=pods.shares(found or []))

    def register(self, candidate: Candidate, changes: Changes) -> None:
        """Makes nothing: KServe reads the version from where it is stored."""
        mount = self._settings.claim_mount
        if mount and not os.path.ismount(mount):
            logger.warning("%s is no mount: KServe finds the version if the claim has what was written there", mount)

    def deploy(self, candidate: Candidate, percent: int, changes: Changes) -> None:
        service = self._client.read()
        if service is None:
            self._create(candidate, changes)
            return
        state, newest = State.of(service), Version.of(service)
        self._check(service, state, percent)
        before = newest.previous
        if state.splits and percent == 100 and before and before.digest == candidate.digest:
            self._pin(before, service, changes)
        self._put(candidate, service, changes)
        if state.splits:
            self._shift(candidate.version, percent, changes)

    def configure(self, changes: Changes) -> None:
        service = self._client.require()
        newest = Version.of(service)
        is_withdrawn = manifest.share(service) == 0  # and the version before could not be put in its place
        if not newest.push or is_withdrawn or manifest.with_logger(self._settings, service) is None:
            return

        def undo() -> None:
            self._client.patch(lambda now: manifest.restored_logger(service, now))

        logged = changes.make(
            f"setting what {self.place} sends of its requests",
            lambda: self._client.patch(lambda now: manifest.with_logger(self._settings, now)),
            undo,
            f"the logger of {self.place}: `{self._client.command('edit')}`",
        )
        if manifest.logger(logged) != manifest.logger(service):  # an older KServe leaves out fields that it lacks
            readiness.of_version(self._client, newest.digest, newest.number, self.rollout.timeout, State.of(service))

    def promote(self, canary: Deployment, changes: Changes) -> None:
        self._require_canary(canary)
        self._shift(canary.version, 100, changes)

    def withdraw(self, canary: Deployment, changes: Changes) -> None:
        before = Version.of(self._require_canary(canary)).previous
        if before is None:
            raise ServerError(f"{self.place}: nothing says which version served before {canary.version}: push one")
        # Nothing undoes this: whatever fails after it, what served before is to serve everything.
        self._give(0)
        self._wait_for_share(canary.version, 0, self.rollout.timeout)
        try:
            self._restore(self._spec_of(before), before.number, self.rollout.timeout, share=None)
        except PenstockError as error:
            logger.warning("version %s has all requests; the next push tidies up: %s", before.number, error.message)

    def health(self, deployment: Deployment) -> Health:
        service = self._client.read()
        if service is None:
            return Health(False, f"{self.place} is gone")
        state, newest = State.of(service), Version.of(service)
        if newest.digest != deployment.digest:
            return Health(True)  # of the version before, the status says no more than that it serves
        said = readiness.why_not(self._client, state, newest.digest)
        if said.failed or state.is_down:
            return Health(False, said.text or "it is not ready")
        return Health(True)

    def clean_up(self) -> list[str]:
        """Nothing: Knative removes revisions that nothing refers to, and a Deployment its pods."""
        return []

    def _create(self, candidate: Candidate, changes: Changes) -> None:
        body = manifest.new(self._settings, candidate, self._uri(candidate), self._image)
        changes.make(
            f"creating {self.place}",
            lambda: self._client.create(body, candidate.push),
            lambda: self._client.delete(candidate.push),
            f"{self.place}: remove it with `{self._client.command('delete')}`",
        )
        readiness.of_version(self._client, candidate.digest, candidate.version, self.rollout.timeout)

    def _check(self, service: Json, state: State, percent: int) -> None:
        """Raises a ConfigError for an InferenceService that is not ours to change, or not in this way."""
        if not Version.of(service).push:
            raise ConfigError(
                f"{self.place} is there, and no push has made it: give push.kserve another name, or delete it with "
                f"`{self._client.command('delete')}`"
            )
        if self._settings.mode and state.mode and self._settings.mode != state.mode:
            raise ConfigError(
                f"push.kserve.deployment_mode: {self.place} runs in KServe's mode {state.mode}, which does not change: "
                "expected that one, or another name"
            )
        if percent != 100 and not state.splits:
            raise ConfigError(f"push.kserve.canary: {no_canary(state.mode or 'Standard')}")

    def _pin(self, before: Version, service: Json, changes: Changes) -> None:
        """Gives the requests back to the revision that served before, which KServe still has: at once, as a rule."""
        share = manifest.share(service)
        changes.make(
            f"giving the requests back to version {before.number}",
            lambda: self._give(0),
            lambda: self._give(share),
            f"{self.place}: version {before.number} has the requests: `{self._client.command('edit')}`",
        )
        try:
            self._wait_for_share(Version.of(service).number, 0, PINNING)
        except SystemFailure as error:
            logger.info("%s: a new revision is made", error.message)
            self._give(share)
            self._wait_for_share(Version.of(service).number, 100, self.rollout.timeout)

    def _put(self, candidate: Candidate, service: Json, changes: Changes) -> None:
        """Puts the version into the spec, unless it is there already, and waits until it is ready."""
        uri, before = self._uri(candidate), State.of(service)
        served = status.served(service, self._client.revision)
        image = self._image_of(candidate, service)
        earlier: list[Json] = []
        logged: list[Json] = []  # from before, where the version was there and only its logger is set

        def put(now: Json) -> Json | None:
            if Version.of(now).is_of(candidate, uri, image):
                change = manifest.with_logger(self._settings, now)
                if change and not earlier:
                    logged[:] = [now]
                return change
            earlier[:] = [now]
            change = manifest.with_version(self._settings, candidate, uri, image, now, served)
            return manifest.with_share(change, 0 if State.of(now).splits else None)

        def undo() -> None:
            now = self._client.read()
            if earlier and now and Version.of(now).push == candidate.push:
                was, share = earlier[0], manifest.share(earlier[0])
                seconds = min(UNDOING, self.rollout.timeout)
                self._restore(lambda now: manifest.restored(was, now), Version.of(was).number, seconds, share)
            elif logged and now:
                self._client.patch(lambda now: manifest.restored_logger(logged[0], now))

        last = "without requests" if before.splits else "where it takes over if it becomes ready"
        made = changes.make(
            f"putting version {candidate.version} into {self.place}",
            lambda: self._client.patch(put),
            undo,
            f"version {candidate.version} in {self.place}, {last}: the next push takes its place",
        )
        is_new = earlier or (logged and manifest.logger(made) != manifest.logger(logged[0]))
        late = before if is_new else None
        readiness.of_version(self._client, candidate.digest, candidate.version, self.rollout.timeout, late)

    def _restore(self, patch: Patch, version: str, seconds: float, share: int | None) -> None:
        """Puts an earlier version into the spec again, and gives it its share when it is ready."""
        before: list[State] = []

        def restore(now: Json) -> Json | None:
            before.append(State.of(now))  # the first is from before, also where the answer to the patch was lost
            change = patch(now)
            return change and manifest.with_share(change, 0 if before[0].splits else None)

        digest = Version.of(self._client.patch(restore)).digest
        readiness.of_version(self._client, digest, version, seconds, before[0])
        self._give(share)
        if before[0].splits:
            self._wait_for_share(version, 100 if share is None else share, seconds)

    def _spec_of(self, version: Version) -> Patch:
        """Returns what makes the patch that puts an earlier version into the spec, as it was recorded."""
        candidate = Candidate(version.uri, version.digest, version.push)
        return lambda now: manifest.with_version(
            self._settings, candidate, version.uri, version.image, now, version.previous
        )

    def _shift(self, version: str, percent: int, changes: Changes) -> None:
        """Gives the newest version its share of the requests, and waits until it has it."""
        wanted, before = (None if percent == 100 else percent), manifest.share(self._client.require())
        if wanted != before:
            changes.make(
                f"giving version {version} {percent} % of the requests",
                lambda: self._give(wanted),
                lambda: self._give(before),
                f"version {version} has requests at {self.place}: take it away with `penstock rollback`",
            )
        self._wait_for_share(version, percent, self.rollout.timeout)

    def _give(self, percent: int | None) -> None:
        """Says which share of the requests the newest version is to have; None for all of them."""
        self._client.patch(lambda now: None if manifest.share(now) == percent else manifest.traffic(now, percent))

    def _wait_for_share(self, version: str, percent: int, seconds: float) -> None:
        what = f"version {version} does not get {percent} % of the requests"
        readiness.of_share(self._client, lambda state: state.newest_share == percent, what, seconds)

    def _require_canary(self, canary: Deployment) -> Json:
        service = self._client.require()
        if not manifest.share(service) or Version.of(service).digest != canary.digest:
            raise ServerError(f"{self.place}: version {canary.version} is on trial there no more: look again")
        return service

    def _uri(self, candidate: Candidate) -> str:
        return self._settings.storage_uri("push.kserve", candidate.uri)

    def _image_of(self, candidate: Candidate, service: Json) -> str:
        """Returns the image for a version: the one that it had, if it served here before."""
        before = Version.of(service).previous
        return before.image if before and before.digest == candidate.digest and before.image else self._image

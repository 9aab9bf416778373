"""What KServe says of an InferenceService: which version serves what share, and what keeps one from being ready.

In KServe's mode Knative every version is a revision, and the status says what share each one has. In the mode Standard
a Deployment replaces its pods, and the status has no shares: pods.py counts those that are ready.

`status.observedGeneration` is that of the Knative Service or Deployment below, so it does not say whether the status is
that of the spec. That the newest revision is another one than before, or that the generation has grown, does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from penstock.components.pusher.destinations.destination import Deployment, Endpoint
from penstock.components.pusher.destinations.kserve import manifest
from penstock.components.pusher.destinations.kserve.manifest import Json, Version
from penstock.components.pusher.destinations.kserve.settings import MODES

_FAILED = ("BlockedByFailedLoad", "InvalidSpec")


@dataclass(frozen=True)
class State:
    """The status of an InferenceService, as far as a push goes by it.

    `shares` are revisions with their percentages. `created` is the newest revision, `serving` the newest that is ready.
    `replaced` is the one that was the newest when the version in the spec was put there.
    """

    mode: str
    ready: bool
    created: str
    serving: str
    observed: int
    shares: dict[str, int]
    url: str
    conditions: dict[str, Json]
    model: Json
    replaced: str

    @classmethod
    def of(cls, service: Json) -> Self:
        status = service.get("status") or {}
        predictor = (status.get("components") or {}).get("predictor") or {}
        shares: dict[str, int] = {}
        for target in predictor.get("traffic") or ():
            revision = target.get("revisionName", "")
            shares[revision] = shares.get(revision, 0) + (target.get("percent") or 0)
        conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
        written = (service["metadata"].get("annotations") or {}).get(manifest.MODE, "")
        return cls(
            mode=MODES.get(status.get("deploymentMode") or written, ""),
            ready=conditions.get("Ready", {}).get("status") == "True",
            created=predictor.get("latestCreatedRevision", ""),
            serving=predictor.get("latestReadyRevision", ""),
            observed=status.get("observedGeneration") or 0,
            shares=shares,
            url=status.get("url", ""),
            conditions=conditions,
            model=status.get("modelStatus") or {},
            replaced=before.revision if (before := Version.of(service).previous) else "",
        )

    @property
    def splits(self) -> bool:
        """Whether the requests can be split: there is a revision that serves."""
        return self.mode == "Knative" and bool(self.serving)

    @property
    def is_down(self) -> bool:
        """Whether it is not ready. While KServe changes something, that is unknown for moments."""
        return self.conditions.get("Ready", {}).get("status") == "False"

    @property
    def newest_is_ready(self) -> bool:
        return bool(self.created) and self.created == self.serving

    @property
    def newest_share(self) -> int:
        """The percentage of the requests that the newest revision has."""
        return self.shares.get(self.created, 0)

    @property
    def is_stale(self) -> bool:
        """Whether KServe has not seen the version that is in the spec yet."""
        return bool(self.replaced) and self.created == self.replaced

    def is_later_than(self, before: "State") -> bool:
        """Whether this is the status of a spec with another version than that of an earlier status."""
        if self.mode == "Knative":
            return self.created != before.created
        return self.observed > before.observed

    @property
    def complaint(self) -> str:
        """Why the newest version is not ready, in KServe's words; "" where it does not say."""
        failure = self.model.get("lastFailureInfo") or {}
        if self.has_failed and failure.get("message"):
            return f"{failure.get('reason', 'it failed')}: {failure['message']}"
        for kind in ("PredictorConfigurationReady", "PredictorReady", "PredictorRouteReady", "IngressReady", "Ready"):
            condition = self.conditions.get(kind, {})
            told = ": ".join(condition[key] for key in ("reason", "message") if condition.get(key))
            if condition.get("status", "True") != "True" and told:
                return told
        return ""

    @property
    def has_failed(self) -> bool:
        """Whether the newest version will not become ready by waiting alone, as far as KServe says."""
        configured = self.conditions.get("PredictorConfigurationReady", {})
        return self.model.get("transitionStatus") in _FAILED or configured.get("status") == "False"


type Revisions = Callable[[str], Version | None]  # from a revision's name to what it serves, as far as that is known


def endpoint(
    name: str, service: Json, revisions: Revisions = lambda _: None, shares: dict[str, int] | None = None
) -> Endpoint:
    """Returns what serves what share. `shares` are those of versions by their digests, where the status has none.

    A version that has no requests while another one serves is not among them: no push has finished it.
    """
    state, newest = State.of(service), Version.of(service)
    before = _before(state, newest, revisions)
    if state.shares:
        own = state.newest_share
        other = sum(state.shares.values()) - own
    elif shares:
        own = shares.get(newest.digest, 0)
        other = 100 - own
    else:
        own, other = (100 if state.ready else 0), 0
    on_trial = bool(manifest.share(service))
    reason = "" if state.ready else state.complaint
    mine = _deployment(newest, state.created, own, on_trial, state.ready, reason)
    if before is None:
        return Endpoint(name, (mine,), state.url)
    earlier = _deployment(before, before.revision, other)
    if not other:
        return Endpoint(name, (mine, earlier), state.url)
    oldest = before.previous if on_trial or not own else None
    rest = (_deployment(oldest, oldest.revision, 0),) if oldest else ()
    return Endpoint(name, ((mine,) if own or on_trial else ()) + (earlier, *rest), state.url)


def served(service: Json, revisions: Revisions) -> Version | None:
    """Returns what serves now, with its revision: what is to be recorded as the version before the next one."""
    state, newest = State.of(service), Version.of(service)
    is_ready = state.newest_is_ready if state.mode == "Knative" else state.ready
    if not is_ready or manifest.share(service) is not None:
        return _before(state, newest, revisions)
    return replace(newest, revision=state.created)


def _before(state: State, newest: Version, revisions: Revisions) -> Version | None:
    """Returns the version before the newest: that of the other revision that has requests, else the recorded one."""
    recorded = newest.previous
    others = {revision: share for revision, share in state.shares.items() if share and revision != state.created}
    if not others or (recorded and recorded.revision in others):
        return recorded
    revision = max(others, key=lambda one: others[one])
    return revisions(revision) or Version(revision=revision)


def _deployment(
    version: Version, revision: str, percent: int, canary: bool = False, ready: bool | None = None, reason: str = ""
) -> Deployment:
    return Deployment(
        version=version.number or version.uri.rstrip("/").rpartition("/")[2] or revision or "?",
        percent=percent,
        digest=version.digest,
        uri=version.uri,
        healthy=ready,
        reason=reason,
        canary=canary,
        reference=revision,
    )

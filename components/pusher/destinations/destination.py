"""What every destination offers to the Pusher and to the commands: what serves what share, pushing and rolling back.

A `Folder` (folder.py) only holds versions, and what share each has. A `Service` serves them: Vertex AI, KServe,
SageMaker. Its methods each make one change, and rollout.py says in which order, for all services alike:

    push      endpoint, store, register, deploy, then promote when the canary is healthy, then clean_up
    promote   promote, clean_up
    rollback  withdraw the canary; without one register and deploy the previous version, then clean_up

What serves is always read from the service, never remembered. The digest of a model is kept beside what is made of it
(a label, an annotation, a tag), by which a second run finds it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from penstock.components.pusher.destinations.changes import Changes
from penstock.core.arguments import check_string, check_whole_number
from penstock.core.errors import ConfigError

COMMON_KEYS = ("storage", "image", "canary", "promote_after", "max_error_rate", "timeout")


def check_canary(name: str, value: Any) -> int:
    """Returns a canary's share of the requests, in percent; raises a ConfigError if it can be none."""
    percent = check_whole_number(name, value, 1, "percent")
    if percent > 99:
        raise ConfigError(f"{name}: expected a percentage from 1 to 99, received {percent}")
    return percent


@dataclass(frozen=True)
class Rollout:
    """What all services are told. `storage` is the folder or bucket that gets a version, `<storage>/<version>/`.

    `canary` is the percentage that a new version gets at first; None gives it everything at once. `promote_after` is
    for how many seconds a canary has to be healthy to get everything; None leaves that to `penstock promote`.
    `max_error_rate` is the share of failed requests, where a service tells it, above which a canary is not healthy.
    `timeout` is how many seconds a service may take to have a version ready. `image` is the model server's image, ""
    for this version's.
    """

    storage: str
    image: str = ""
    canary: int | None = None
    promote_after: int | None = None
    max_error_rate: float = 0.01
    timeout: int = 3600

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any]) -> Self:
        """Reads the COMMON_KEYS of settings that messages call `name`; raises a ConfigError for a wrong value."""
        rollout = cls(check_string(f"{name}.storage", settings.get("storage"), "a folder or a bucket's folder"))
        if settings.get("image"):
            rollout = replace(rollout, image=check_string(f"{name}.image", settings["image"], "an image's name"))
        if settings.get("canary") is not None:
            rollout = replace(rollout, canary=check_canary(f"{name}.canary", settings["canary"]))
        if settings.get("promote_after") is not None:
            seconds = check_whole_number(f"{name}.promote_after", settings["promote_after"], 0, "seconds")
            if rollout.canary is None:
                raise ConfigError(f"{name}.promote_after: expected a canary, for without one all is given at once")
            rollout = replace(rollout, promote_after=seconds)
        rate = settings.get("max_error_rate", cls.max_error_rate)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ConfigError(f"{name}.max_error_rate: expected a share from 0 to 1, received {rate!r}")
        timeout = check_whole_number(f"{name}.timeout", settings.get("timeout", cls.timeout), 1, "seconds")
        return replace(rollout, max_error_rate=float(rate), timeout=timeout)


@dataclass(frozen=True)
class Candidate:
    """A version of a model that is to serve: it is stored at `uri`, which ends in its number.

    `digest` is SavedModel.digest, 64 hexadecimal digits. `push` names the one push that makes changes for it,
    Changes.push; it is kept beside the digest, and an undo removes only what bears it.
    `reference` is the service's own name for it where it is known to be registered already: Deployment.reference.
    """

    uri: str
    digest: str
    push: str
    reference: str = ""

    @property
    def version(self) -> str:
        return self.uri.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class Deployment:
    """A version at an endpoint, as the service tells of it.

    `percent` is its share of the requests; a version with 0 is the previous one, which a rollback brings back. `canary`
    says that it is on trial. `created` is an ISO 8601 time, "" where the service has none. `healthy` is None where the
    service does not say; `reason` says why not. `reference` is the service's own name for it.
    """

    version: str
    percent: int
    digest: str = ""
    uri: str = ""
    created: str = ""
    healthy: bool | None = None
    reason: str = ""
    canary: bool = False
    reference: str = ""


@dataclass(frozen=True)
class Endpoint:
    """What serves what share at one place: `name` is the service's own name for it, `url` where requests go."""

    name: str
    deployments: tuple[Deployment, ...] = ()
    url: str = ""

    @property
    def canary(self) -> Deployment | None:
        return next((one for one in self.deployments if one.canary), None)

    @property
    def current(self) -> Deployment | None:
        """The version that serves and is not on trial."""
        serving = [one for one in self.deployments if one.percent and not one.canary]
        return max(serving, key=lambda one: one.percent, default=None)

    @property
    def previous(self) -> Deployment | None:
        """The version that a rollback brings back; None if there is none."""
        return next((one for one in self.deployments if not one.percent and not one.canary), None)

    def with_digest(self, digest: str) -> Deployment | None:
        """Returns the version of this model that serves."""
        return next((one for one in self.deployments if one.digest == digest and one.percent), None)


@dataclass(frozen=True)
class Health:
    """Whether a version can have more requests, and why not. `error_rate` is None where the service does not tell."""

    healthy: bool
    reason: str = ""
    error_rate: float | None = None


@dataclass(frozen=True)
class Pushed:
    """What came of a push to one destination: for `pushed_destination` and `pushed_version` of PushedModel.

    `percent` is what the version has of the requests, and `new` whether this push changed anything. `notes` are
    sentences that a person should read, such as about what could not be cleaned up.
    """

    place: str
    version: str
    percent: int = 100
    new: bool = True
    notes: tuple[str, ...] = field(default=())


class Destination(ABC):
    """A place that models are pushed to. `key` is its name in push_destination."""

    key: ClassVar[str]

    @property
    @abstractmethod
    def place(self) -> str:
        """What sentences call it, such as "SageMaker endpoint taxi (eu-west-1)"."""

    @abstractmethod
    def endpoint(self) -> Endpoint | None:
        """Asks what serves what share; None if there is nothing yet."""


class Service(Destination):
    """A service that serves versions. Whatever a method raises, what it changed stands in `changes` and is undone.

    Each change goes through `changes.make`, which takes its undo. A method finds what an earlier push has made before
    it makes it, and returns when the service is done with it, within `rollout.timeout` seconds (waiting.until). It
    raises a UserError for what a person can mend, a SystemFailure for what a rerun may mend, and from `promote`
    AlreadyExists where somebody else has changed the endpoint meanwhile: then it is looked at again.
    """

    rollout: Rollout

    @abstractmethod
    def register(self, candidate: Candidate, changes: Changes) -> None:
        """Makes the version known to the service, by its URI; nothing where that is no step of its own."""

    @abstractmethod
    def deploy(self, candidate: Candidate, percent: int, changes: Changes) -> None:
        """Gives the version its share of the requests, beside what serves, once it is ready for them.

        Makes the endpoint if there is none, and then `percent` is 100. Until the version is ready, what served before
        serves everything. After it with 100 percent what served before is the previous version.
        """

    def configure(self, changes: Changes) -> None:
        """Gives what serves the settings that are no version's, such as what is kept of its requests.

        It is called where the pushed version serves already. What others have set stays where nothing is configured.
        """

    @abstractmethod
    def promote(self, canary: Deployment, changes: Changes) -> None:
        """Gives the canary all requests. What served before becomes the previous version."""

    @abstractmethod
    def withdraw(self, canary: Deployment, changes: Changes) -> None:
        """Gives the version beside the canary all requests, and takes the canary away. It needs no undo."""

    @abstractmethod
    def health(self, deployment: Deployment) -> Health:
        """Asks whether a version is healthy."""

    @abstractmethod
    def clean_up(self) -> list[str]:
        """Removes what pushes have made and neither serves nor is the previous version.

        It fails for nothing: returns a sentence for each thing that is left behind, with how to remove it.
        """

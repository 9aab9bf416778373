"""A folder that a model server watches, TFX's PushDestination.Filesystem: `<base_directory>/<version>/`.

TensorFlow Serving, and ours, serve the highest version, so a new one has all requests. A rollback pushes the version
before it once more, as a new version: nothing is removed, and numbers only rise, as model servers expect it of them.
Rolling back twice brings back the version that was rolled back, as `kubectl rollout undo` does.

With a `canary` a file beside the versions says what share each has (core/artifacts/serving.py: Traffic), and our server
does so. From then on a promotion and a rollback write that file, and no version. It is written before a new version is,
so that no server takes that one for what is to serve.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from penstock.components.pusher.destinations.destination import Deployment, Destination, Endpoint, Pushed, check_canary
from penstock.components.pusher.destinations.storage import Storage, Version, open_storage
from penstock.core.arguments import check_object, check_string
from penstock.core.artifacts import SavedModel, Traffic
from penstock.core.errors import ConfigError, UserError

EXAMPLE = '{"base_directory": "<folder>"}'
_VERSIONINGS = ("AUTO", "UNIX_TIMESTAMP")


class Folder(Destination):
    """The destination `filesystem`. The folder may be in an object store.

    canary: The percentage that a new version has at first; None gives it everything at once.
    """

    key = "filesystem"

    def __init__(self, storage: Storage, canary: int | None = None) -> None:
        self.storage = storage
        self.canary = canary

    @property
    def place(self) -> str:
        return self.storage.base

    def endpoint(self) -> Endpoint | None:
        traffic = self._traffic()
        if traffic:
            return Endpoint(self.place, tuple(self._deployments(traffic)))
        newest = self.storage.newest(2)
        shares = (100, 0)[: len(newest)]
        deployments = map(self._deployment, newest, shares)
        return Endpoint(self.place, tuple(deployments)) if newest else None

    def push(self, serving: Path) -> Pushed:
        """Makes a model the newest version, unless it is that already; with a canary it is on trial at first."""
        if self.canary is None and self._traffic() is None:
            return _pushed(self.storage.push(serving))
        with self.storage.exclusive():
            return self._take_over(serving, self._traffic())

    def promote(self) -> Pushed:
        """Gives the canary all requests."""
        if self._traffic() is None:
            raise UserError(f"{self.place}: a folder has no canary: its newest version has all requests")
        with self._changing() as traffic:
            if traffic.canary is None:
                raise UserError(f"{self.place}: there is no canary: version {traffic.stable} has 100 %")
            return self._served(Traffic(traffic.canary, previous=traffic.stable))

    def rollback(self) -> Pushed:
        """Takes the canary away, or without one brings the version before back."""
        if self._traffic() is None:
            return self._push_previous()
        with self._changing() as traffic:
            if traffic.canary is not None:
                return self._served(Traffic(traffic.stable, previous=traffic.previous))
            if traffic.previous is None:
                raise UserError(
                    f"{self.place}: version {traffic.stable} is the first that serves: there is none to roll back to"
                )
            return self._served(Traffic(traffic.previous, previous=traffic.stable))

    def _take_over(self, serving: Path, traffic: Traffic | None) -> Pushed:
        """Pushes a model to a folder whose traffic is, or from now on will be, written down."""
        if traffic is None:
            newest = self.storage.newest(1)
            if not newest:
                pushed = self.storage.push(serving)
                return self._served(Traffic(pushed.number))
            traffic = Traffic(newest[0].number)
            self._write(traffic)
        digest = SavedModel(serving).digest()
        if self._digest(traffic.stable) == digest:
            place = self._version(traffic.stable).place
            return Pushed(place, str(traffic.stable), 100 - traffic.percent, new=False)
        if traffic.canary is not None:
            if self._digest(traffic.canary) != digest:
                raise UserError(
                    f"{self.place}: version {traffic.canary} is on trial there with {traffic.percent} %: "
                    "`penstock promote` or `penstock rollback` first"
                )
            return self._on_trial(traffic, new=False)
        pushed = self.storage.push(serving)
        if self.canary is None:
            return self._served(Traffic(pushed.number, previous=traffic.stable))
        trial = Traffic(traffic.stable, pushed.number, self.canary, traffic.previous)
        self._write(trial)
        return self._on_trial(trial, new=True)

    def _served(self, traffic: Traffic) -> Pushed:
        stable = self._version(traffic.stable)
        if not self.storage.holds(stable):
            raise UserError(f"{self.place}: version {stable.number} is not there any more, so what serves stays")
        self._write(traffic)
        return Pushed(stable.place, str(stable.number))

    def _on_trial(self, traffic: Traffic, new: bool) -> Pushed:
        how = "`penstock promote` gives it all requests, `penstock rollback` takes it away"
        note = f"version {traffic.canary} has {traffic.percent} % at {self.place}: {how}"
        place = self._version(traffic.labels["canary"]).place
        return Pushed(place, str(traffic.canary), traffic.percent, new=new, notes=(note,))

    def _push_previous(self) -> Pushed:
        versions = self.storage.newest(2)
        if len(versions) < 2:
            holds = f"only version {versions[0].number}" if versions else "no version"
            raise UserError(f"{self.place}: it holds {holds}: there is none to roll back to")
        with self.storage.reading(versions[1]) as previous:
            return _pushed(self.storage.push(previous))

    def _traffic(self) -> Traffic | None:
        content = self.storage.read(Traffic.FILE)
        return None if content is None else Traffic.parse(content)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Traffic]:
        """Yields what serves, which nobody else changes meanwhile."""
        with self.storage.exclusive():
            traffic = self._traffic()
            if traffic is None:
                raise UserError(f"{self.place}: {Traffic.FILE} was removed meanwhile: what serves is not known")
            yield traffic

    def _write(self, traffic: Traffic) -> None:
        self.storage.write(Traffic.FILE, traffic.content())

    def _deployments(self, traffic: Traffic) -> Iterator[Deployment]:
        """Yields what serves, and the version that a rollback brings back."""
        yield self._deployment(self._version(traffic.stable), 100 - traffic.percent)
        if traffic.canary is not None:
            yield self._deployment(self._version(traffic.canary), traffic.percent, canary=True)
        elif traffic.previous is not None:
            yield self._deployment(self._version(traffic.previous))

    def _deployment(self, version: Version, percent: int = 0, canary: bool = False) -> Deployment:
        return Deployment(str(version.number), percent, uri=version.place, created=version.created, canary=canary)

    def _version(self, number: int) -> Version:
        return Version(f"{self.storage.base}/{number}")

    def _digest(self, number: int) -> str:
        """Returns a version's digest; "" if it is not there any more."""
        version = self._version(number)
        if not self.storage.holds(version):
            return ""
        with self.storage.reading(version) as model:
            return SavedModel(model).digest()


def destination(name: str, settings: object) -> Folder:
    """Reads the settings of TFX's message, which sentences call `name`; raises a ConfigError if they do not fit.

    `canary` is our own.
    """
    filesystem = check_object(name, settings, ("base_directory", "versioning", "canary"), EXAMPLE)
    versioning = filesystem.get("versioning", "AUTO")
    if versioning not in _VERSIONINGS:
        raise ConfigError(f"{name}.versioning: expected one of {', '.join(_VERSIONINGS)}, received {versioning!r}")
    storage = open_storage(check_string(f"{name}.base_directory", filesystem.get("base_directory"), "a folder"))
    canary = filesystem.get("canary")
    return Folder(storage, None if canary is None else check_canary(f"{name}.canary", canary))


def _pushed(version: Version) -> Pushed:
    return Pushed(version.place, str(version.number), new=version.new)

"""A folder that a model server watches, TFX's PushDestination.Filesystem: `<base_directory>/<version>/`.

TensorFlow Serving, and ours, serve the highest version. So the newest version has all requests, and there is no canary.
A rollback pushes the version before it once more, as a new version: nothing is removed, and numbers only rise, as
model servers expect it of them. Rolling back twice brings back the version that was rolled back, as `kubectl rollout
undo` does.
"""

from dataclasses import replace
from pathlib import Path

from penstock.components.pusher.destinations.destination import Deployment, Destination, Endpoint, Pushed
from penstock.components.pusher.destinations.storage import Storage, Version, open_storage
from penstock.core.arguments import check_object, check_string
from penstock.core.errors import ConfigError, UserError

EXAMPLE = '{"base_directory": "<folder>"}'
_VERSIONINGS = ("AUTO", "UNIX_TIMESTAMP")


class Folder(Destination):
    """The destination `filesystem`. The folder may be in an object store."""

    key = "filesystem"

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    @property
    def place(self) -> str:
        return self.storage.base

    def endpoint(self) -> Endpoint | None:
        versions = self.storage.newest(2)
        if not versions:
            return None
        newest, *earlier = (Deployment(str(one.number), 0, uri=one.place, created=one.created) for one in versions)
        return Endpoint(self.place, (replace(newest, percent=100), *earlier))

    def push(self, serving: Path) -> Pushed:
        """Makes a model the newest version, unless it is that already."""
        return _pushed(self.storage.push(serving))

    def promote(self) -> Pushed:
        raise UserError(f"{self.place}: a folder has no canary: its newest version has all requests")

    def rollback(self) -> Pushed:
        """Pushes the version before the newest one once more."""
        versions = self.storage.newest(2)
        if len(versions) < 2:
            holds = f"only version {versions[0].number}" if versions else "no version"
            raise UserError(f"{self.place}: it holds {holds}: there is none to roll back to")
        with self.storage.reading(versions[1]) as previous:
            return _pushed(self.storage.push(previous))


def destination(name: str, settings: object) -> Folder:
    """Reads the settings of TFX's message, which sentences call `name`; raises a ConfigError if they do not fit."""
    filesystem = check_object(name, settings, ("base_directory", "versioning"), EXAMPLE)
    versioning = filesystem.get("versioning", "AUTO")
    if versioning not in _VERSIONINGS:
        raise ConfigError(f"{name}.versioning: expected one of {', '.join(_VERSIONINGS)}, received {versioning!r}")
    return Folder(open_storage(check_string(f"{name}.base_directory", filesystem.get("base_directory"), "a folder")))


def _pushed(version: Version) -> Pushed:
    return Pushed(version.place, str(version.number), new=version.new)

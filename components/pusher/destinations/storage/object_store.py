"""Versions of a model in an object store that is not mounted: `<base>/<number>/saved_model.pb …`.

A store cannot rename a folder, so a version is written in place, and its saved_model.pb last. Until then it is no
SavedModel, and a model server that finds it tries again later. Of a model of another kind no file is the mark, so what
serves it may see a part. The remains of a killed push never become a version, because the next push takes a higher
number. There is no lock: only one pipeline may push to a folder at a time.
"""

import contextlib
import itertools
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from penstock.components.pusher.destinations.storage.storage import Storage
from penstock.components.pusher.destinations.storage.version import Version
from penstock.core.artifacts import SavedModel
from penstock.core.files import object_stores
from penstock.core.files.object_stores import Entry, Store

_TOOLS = {"gs": "gcloud storage rm -r", "s3": "aws s3 rm --recursive", "minio": "aws s3 rm --recursive"}


@dataclass(frozen=True)
class Bucket(Storage):
    """A folder in a bucket, by its URI without a slash at its end."""

    uri: str

    @property
    def base(self) -> str:
        return self.uri

    def push(self, serving: Path) -> Version:
        return push(serving, self.uri)

    def newest(self, count: int) -> list[Version]:
        with object_stores.open_store(self.uri) as store:
            places = (object_stores.join(self.uri, str(number)) for number in reversed(_numbers(store, self.uri)))
            complete = (place for place in places if SavedModel.is_model(store.files(place)))
            return [Version(place) for place in itertools.islice(complete, count)]

    def holds(self, version: Version) -> bool:
        with object_stores.open_store(self.uri) as store:
            return SavedModel.is_model(store.files(version.place))

    def reading(self, version: Version) -> contextlib.AbstractContextManager[Path]:
        return object_stores.fetched(version.place)

    def read(self, name: str) -> bytes | None:
        with object_stores.open_store(self.uri) as store:
            uri = object_stores.join(self.uri, name)
            return store.read(uri) if store.is_file(uri) else None

    def write(self, name: str, content: bytes) -> None:
        with object_stores.open_store(self.uri) as store:
            store.write(object_stores.join(self.uri, name), content)

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def removal(self, version: Version) -> str:
        scheme, _, rest = version.place.partition("://")
        return f"{_TOOLS[scheme]} {shlex.quote(f'gs://{rest}' if scheme == 'gs' else f's3://{rest}')}"


def push(serving: Path, base: str) -> Version:
    """Makes the SavedModel in `serving` the newest version under `base`, unless it is that already.

    The number is chosen as Storage.push says. Raises a UserError if the store cannot be read or written.
    """
    model = SavedModel(serving)
    with object_stores.open_store(base) as store:
        numbers = _numbers(store, base)
        for number in reversed(numbers):
            version = object_stores.join(base, str(number))
            entries = store.files(version)
            if SavedModel.FILE in entries or not model.exists:
                if _same(model, version, entries):
                    return Version(version, new=False)
                break
        number = max(int(time.time()), numbers[-1] + 1 if numbers else 0)
        version = object_stores.join(base, str(number))
        _upload(store, serving, version)
    return Version(version, new=True)


def _numbers(store: Store, base: str) -> list[int]:
    """Returns the versions, complete or not, the highest last."""
    return sorted(int(name) for name in store.children(base)[1] if name.isascii() and name.isdecimal())


def _upload(store: Store, serving: Path, version: str) -> None:
    files = sorted(path for path in serving.rglob("*") if path.is_file())
    for path in sorted(files, key=lambda path: path == SavedModel(serving).path):
        store.upload(path, object_stores.join(version, path.relative_to(serving).as_posix()))


def _same(serving: SavedModel, version: str, entries: dict[str, Entry]) -> bool:
    if {name: entry.size for name, entry in entries.items() if SavedModel.computes(name)} != serving.sizes():
        return False
    with object_stores.fetched(version) as copy:
        return SavedModel(copy).digest() == serving.digest()

"""Where the versions of a model are: a folder, or a URI in an object store, which is fetched first."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from penstock.core.artifacts import Model, SavedModel, Traffic
from penstock.core.files import atomic, object_stores, temporary

_HIGHEST = 2**63 - 1  # TensorFlow Serving's versions are int64


class Place(Protocol):
    """Where versions are looked for."""

    def versions(self) -> Mapping[int, str]:
        """Returns the versions that are complete, and a tag of each that changes with its files."""

    def traffic(self) -> Traffic | None:
        """Returns which versions serve what share, where that is written down; a ConfigError if that is damaged."""

    def fetched(self, version: int) -> contextlib.AbstractContextManager[Path]:
        """Yields a version's folder, which stays until the context ends."""


def place(path: str) -> Place:
    """Returns the place of a path or URI."""
    return _Bucket(path.rstrip("/")) if object_stores.is_remote(path) else _Folder(atomic.local_path(path).absolute())


class _Folder:
    """A base folder, `<base>/<version>/`; or one model, which may be in an artifact: its version is 1, or its name."""

    def __init__(self, root: Path):
        self._root = root

    def versions(self) -> Mapping[int, str]:
        return {version: _tag(folder) for version, folder in self._folders().items()}

    def traffic(self) -> Traffic | None:
        try:
            return Traffic.parse((self._root / Traffic.FILE).read_bytes())
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def fetched(self, version: int) -> Iterator[Path]:
        yield self._folders()[version]

    def _folders(self) -> dict[int, Path]:
        for model in (self._root, Model(self._root).serving_model()):
            if model and SavedModel(model).exists:
                return {_number(self._root.name) or 1: model}
        children = self._root.iterdir() if self._root.is_dir() else ()
        numbered = {number: child for child in children if (number := _number(child.name))}
        return {number: child for number, child in sorted(numbered.items()) if SavedModel(child).exists}


class _Bucket:
    """A base URI, `<base>/<version>/`, or the URI of one model."""

    def __init__(self, uri: str):
        self._uri = uri

    def versions(self) -> Mapping[int, str]:
        with object_stores.open_store(self._uri) as store:
            objects, folders = store.children(self._uri)
            if SavedModel.FILE in objects:
                return {self._of_one(): store.files(self._uri)[SavedModel.FILE].tag}
            tags = {}
            for name in folders:
                files = store.files(object_stores.join(self._uri, name)) if _number(name) else {}
                if SavedModel.FILE in files:
                    tags[int(name)] = files[SavedModel.FILE].tag
            return tags

    def traffic(self) -> Traffic | None:
        uri = object_stores.join(self._uri, Traffic.FILE)
        with object_stores.open_store(self._uri) as store:
            return Traffic.parse(store.read(uri)) if store.is_file(uri) else None

    @contextlib.contextmanager
    def fetched(self, version: int) -> Iterator[Path]:
        with temporary.folder() as copy, object_stores.open_store(self._uri) as store:
            objects, _ = store.children(self._uri)
            uri = self._uri if SavedModel.FILE in objects else self._version_uri(store, version)
            store.fetch({object_stores.join(uri, name): copy / name for name in store.files(uri)})
            yield copy

    def _of_one(self) -> int:
        return _number(self._uri.rpartition("/")[2]) or 1

    def _version_uri(self, store: object_stores.Store, version: int) -> str:
        _, folders = store.children(self._uri)
        name = next(name for name in folders if _number(name) == version)
        return object_stores.join(self._uri, name)


def _number(name: str) -> int:
    """Returns the version that a folder's name is; 0 for any other name."""
    number = int(name) if name.isascii() and name.isdecimal() and len(name) < 20 else 0
    return number if number <= _HIGHEST else 0


def _tag(folder: Path) -> str:
    sizes = [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in folder.rglob("*") if path.is_file()]
    return f"{SavedModel(folder).path.stat().st_mtime_ns} {sorted(sizes)}"

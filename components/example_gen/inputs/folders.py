"""The folder of the data: on this machine, also inside a package, or in an object store that is not mounted."""

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from penstock.core import packages
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import atomic, kinds, object_stores, patterns
from penstock.core.files.data_files import DataFile, ObjectFile
from penstock.core.files.object_stores import Entry, Store
from penstock.core.files.patterns import Kind


class Folder(Protocol):
    """A folder, or the folder of a file: `only` is then the file's name."""

    name: str
    only: str | None

    def glob(self, pattern: str) -> list[str]:
        """Returns the names of the files that match, sorted. Those that begin with a dot or an underscore are no data,
        unless the pattern asks for them."""

    def literal(self, pattern: str) -> str:
        """Returns a pattern in which what exists under its own name means itself, as `patterns.literal` does."""

    def held(self) -> list[str]:
        """Returns the names of what is right in the folder, sorted: with a slash after those of folders, and with what
        it is after those of pipes and the like."""

    def files(self, names: Sequence[str]) -> list[DataFile]:
        """Returns files that `glob` has found."""

    def fingerprint(self, names: Sequence[str]) -> str:
        """Returns a line of the files' number and size, and a digest that changes with their names and contents."""


class LocalFolder:
    """A folder, or a file's folder, on this machine."""

    def __init__(self, path: Path):
        self.path = path.parent if path.is_file() else path
        self.name, self.only = str(self.path), path.name if path.is_file() else None

    def glob(self, pattern: str) -> list[str]:
        return patterns.files(self.path, pattern)

    def literal(self, pattern: str) -> str:
        return patterns.literal_below(self.path, pattern)

    def held(self) -> list[str]:
        special = {path: kinds.special(path) for path in self.path.iterdir()}
        marks = {path: "/" if path.is_dir() else f" ({what})" if what else "" for path, what in special.items()}
        return sorted(path.name + mark for path, mark in marks.items())

    def files(self, names: Sequence[str]) -> list[DataFile]:
        return [self.path / name for name in names]

    def fingerprint(self, names: Sequence[str]) -> str:
        """Where TFX takes times of change, this takes names and contents: a copy is the same."""
        paths = [self.path / name for name in names]
        size = sum(path.stat().st_size for path in paths)
        return f"num_files:{len(paths)},total_bytes:{size},sha256:{atomic.digest(paths, self.path)}"


class RemoteFolder:
    """A folder in a store, listed once below the part of each pattern that has no wildcard."""

    def __init__(self, store: Store, uri: str):
        base, _, name = uri.rstrip("/").rpartition("/")
        self.only = name if store.is_file(uri.rstrip("/")) else None
        self.name = base if self.only else uri.rstrip("/")
        self.store, self._entries = store, dict[str, Entry]()
        self._list = cache(self._listed)

    def glob(self, pattern: str) -> list[str]:
        whole = patterns.translate(pattern + "/*" if pattern.endswith("**") else pattern)
        matches = re.compile(whole, re.DOTALL).fullmatch
        names = self._list(patterns.fixed(pattern))
        return [name for name in names if matches(name) and not patterns.is_marked(name, pattern)]

    def literal(self, pattern: str) -> str:
        """Asks the store for no more than `glob` does: the listing is the same."""
        names = self._list(patterns.fixed(pattern))

        def kind(name: str) -> Kind:
            inside = f"{name.rstrip('/')}/"
            return "file" if name in names else "folder" if any(other.startswith(inside) for other in names) else ""

        return patterns.literal(pattern, kind)

    def held(self) -> list[str]:
        files, folders = self.store.children(self.name)
        return sorted([*files, *(f"{name}/" for name in folders)])

    def files(self, names: Sequence[str]) -> list[DataFile]:
        return [ObjectFile(object_stores.join(self.name, name), self._entries[name].size) for name in names]

    def fingerprint(self, names: Sequence[str]) -> str:
        """Contents are known by the checksums that the store keeps, so none is read."""
        entries = {name: self._entries[name] for name in names}
        lines = (f"{name}\0{entry.size}\0{entry.tag}\n" for name, entry in sorted(entries.items()))
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        return f"num_files:{len(names)},total_bytes:{sum(entry.size for entry in entries.values())},checksums:{digest}"

    def _listed(self, fixed: str) -> list[str]:
        entries = self.store.files(object_stores.join(self.name, fixed))
        self._entries |= {fixed + name: entry for name, entry in entries.items()}
        return [fixed + name for name in entries]


@contextlib.contextmanager
def opened(input_base: str) -> Iterator[Folder]:
    """Gives the folder of the data; a DataError if a local one, a ConfigError if its package does not exist."""
    if object_stores.is_remote(input_base):
        with object_stores.open_store(input_base) as store:
            yield RemoteFolder(store, input_base)
        return
    path = _in_package(input_base) if packages.is_inside(input_base) else atomic.local_path(input_base)
    if special := kinds.special(path):
        raise DataError(f"input_base (data.path): {input_base} is {special}: expected a file or a folder")
    if not path.exists():
        raise DataError(f"input_base (data.path): {input_base} does not exist: expected a folder or a file")
    yield LocalFolder(path)


def _in_package(input_base: str) -> Path:
    try:
        return packages.resolve(input_base)
    except ValueError:
        raise ConfigError(
            f"input_base (data.path): {input_base}: there is no package {packages.name(input_base)!r} where this task "
            "runs: expected an image that has it, or data in a bucket or on a volume"
        ) from None


def fetch(folder: RemoteFolder, files: Mapping[str, Sequence[str]], scratch: Path) -> dict[str, list[Path]]:
    """Copies files to `scratch` under the same names; returns the copies."""
    names = {name for of_split in files.values() for name in of_split}
    folder.store.fetch({object_stores.join(folder.name, name): scratch / name for name in sorted(names)})
    return {split: [scratch / name for name in of_split] for split, of_split in files.items()}

"""The folder of the data: on this machine, also inside a package, or in an object store that is not mounted."""

import contextlib
import glob
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Protocol

from penstock.core import packages
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import atomic, object_stores
from penstock.core.files.object_stores import Entry, Store

_GLOB = re.compile(r"(?P<deep>\*\*/)|(?P<any>\*)|(?P<one>\?)|\[(?P<not>!?)(?P<set>[^\]]+)\]|(?P<literal>.)", re.DOTALL)
_WILD = re.compile(r"[*?\[]")


class Folder(Protocol):
    """A folder, or the folder of a file: `only` is then the file's name."""

    name: str
    only: str | None

    def glob(self, pattern: str) -> list[str]:
        """Returns the names of the files that match, sorted. Those that begin with a dot or an underscore are no data,
        unless the pattern asks for them."""

    def held(self) -> list[str]:
        """Returns the names of what is right in the folder, sorted, with a slash after those of folders."""

    def fingerprint(self, names: Sequence[str]) -> str:
        """Returns a line of the files' number and size, and a digest that changes with their names and contents."""


class LocalFolder:
    """A folder, or a file's folder, on this machine."""

    def __init__(self, path: Path):
        self.path = path.parent if path.is_file() else path
        self.name, self.only = str(self.path), path.name if path.is_file() else None

    def glob(self, pattern: str) -> list[str]:
        names = glob.glob(pattern, root_dir=self.path, recursive=True)
        return sorted(name for name in names if (self.path / name).is_file() and not _is_marked(name, pattern))

    def held(self) -> list[str]:
        return sorted(path.name + ("/" if path.is_dir() else "") for path in self.path.iterdir())

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
        wild = _WILD.search(pattern)
        fixed = pattern[: pattern.rfind("/", 0, wild.start() if wild else None) + 1]
        matches = re.compile(translate(pattern + "/*" if pattern.endswith("**") else pattern), re.DOTALL).fullmatch
        return [name for name in self._list(fixed) if matches(name) and not _is_marked(name, pattern)]

    def held(self) -> list[str]:
        files, folders = self.store.children(self.name)
        return sorted([*files, *(f"{name}/" for name in folders)])

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


def translate(pattern: str) -> str:
    """Returns the regular expression of a glob pattern."""
    return "".join(map(_meaning, _GLOB.finditer(pattern)))


def _meaning(part: re.Match[str]) -> str:
    if part["set"]:
        members = re.sub(r"([\[\\^&~|])", r"\\\1", part["set"])
        return f"[{'^' if part['not'] else ''}{members}]"
    return {"deep": "(?:.*/)?", "any": "[^/]*", "one": "[^/]"}.get(str(part.lastgroup)) or re.escape(part[0])


def _is_marked(name: str, pattern: str) -> bool:
    """Whether a name that matches is no data: a part begins with a dot, or the file's name with an underscore."""
    if PurePosixPath(name).name.startswith("_") and not PurePosixPath(pattern).name.startswith("_"):
        return True
    dots = any(part.startswith(".") for part in name.split("/"))
    return dots and not any(part.startswith(".") for part in pattern.split("/"))

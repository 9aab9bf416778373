"""What is kept of a service: files by the SHA-256 of their content, and snapshots that list which of them were read.

    <folder>/content/<sha256>            a file, whoever lists it
    <folder>/snapshots/<sha256>.json     what there was at one time: files, and where they are from

A snapshot's URI stands for the same rows as long as it is kept. Equal data is an equal snapshot.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from penstock.components.example_gen.sources.spooled import folder
from penstock.components.example_gen.sources.spooled.folder import SpoolFolder
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import object_stores

_CONTENT, _SNAPSHOTS = "content", "snapshots"


@dataclass(frozen=True)
class Kept:
    """A file that is kept.

    Args:
        sha256: Of its content, in hexadecimal.
        size: In bytes.
        name: What a person knows it by: a page's address, a transaction.
        without: The parts of it, by their ids, that are kept elsewhere already.
    """

    sha256: str
    size: int
    name: str
    without: tuple[str, ...] = ()

    @classmethod
    def of_json(cls, value: Mapping[str, object]) -> "Kept":
        without = value.get("without", [])
        assert isinstance(without, list)
        return cls(str(value["sha256"]), int(str(value["size"])), str(value["name"]), tuple(map(str, without)))


@dataclass(frozen=True)
class Snapshot:
    """Files in their order, and what the lineage says of where they are from."""

    files: tuple[Kept, ...]
    origin: Mapping[str, str] = field(default_factory=dict)

    def serialized(self) -> bytes:
        files = [asdict(file) for file in self.files]
        return json.dumps({"files": files, "origin": dict(self.origin)}, sort_keys=True, ensure_ascii=False).encode()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.serialized()).hexdigest()


@dataclass(frozen=True)
class Spool:
    """What is kept in a folder; only one run changes it at a time."""

    folder: SpoolFolder
    uri: str

    def add(self, path: Path, name: str) -> Kept:
        """Keeps a local file, which is moved; what is kept already is not written again."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        if not self.has(digest):
            self.folder.take(path, f"{_CONTENT}/{digest}")
        return Kept(digest, size, name)

    def has(self, digest: str) -> bool:
        return self.folder.has(f"{_CONTENT}/{digest}")

    def add_snapshot(self, snapshot: Snapshot) -> str:
        """Keeps a snapshot, and returns its URI."""
        name = f"{_SNAPSHOTS}/{snapshot.digest}.json"
        if not self.folder.has(name):
            self.folder.write(name, snapshot.serialized())
        return object_stores.join(self.uri, name)

    def remove_all_but(self, snapshots: Sequence[str], files: Iterable[Kept] = ()) -> None:
        """Removes all but some snapshots, by their digests, and what is in these or is named."""
        needed = {file.sha256 for file in files}
        for name in self.folder.names(_SNAPSHOTS):
            if name.removesuffix(".json") not in snapshots:
                self.folder.remove(f"{_SNAPSHOTS}/{name}")
                continue
            content = self.folder.read(f"{_SNAPSHOTS}/{name}") or b""
            needed |= {file.sha256 for file in _parsed(content, name).files}
        for name in self.folder.names(_CONTENT):
            if name not in needed:
                self.folder.remove(f"{_CONTENT}/{name}")


def read(uri: str, scratch: Path) -> tuple[Snapshot, dict[str, Path]]:
    """Returns a snapshot, and a local copy of each of its files by its digest.

    Raises a ConfigError if it is not kept any more, a DataError for a file with another content.
    """
    root, _, name = uri.rpartition(f"/{_SNAPSHOTS}/")
    with folder.opened(root) as place:
        content = place.read(f"{_SNAPSHOTS}/{name}")
        if content is None:
            raise ConfigError(f"{uri}: what was read is not kept any more: run the whole pipeline again")
        snapshot = _parsed(content, uri)
        copies = {file.sha256: scratch / file.sha256 for file in snapshot.files}
        place.fetch({f"{_CONTENT}/{digest}": path for digest, path in copies.items()})
    for digest, path in copies.items():
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise DataError(f"{root}/{_CONTENT}/{digest}: it was changed after it was written: restore it")
    return snapshot, copies


def _parsed(content: bytes, where: str) -> Snapshot:
    try:
        document = json.loads(content)
        return Snapshot(tuple(map(Kept.of_json, document["files"])), dict(document["origin"]))
    except (ValueError, KeyError, TypeError, AssertionError):
        raise DataError(f"{where}: it was changed after it was written: restore it from a copy") from None

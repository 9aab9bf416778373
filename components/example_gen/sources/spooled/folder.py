"""A folder of whole files, on this machine or in an object store: a file is there with all of its bytes, or not."""

import contextlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.core.errors import ConfigError
from penstock.core.files import atomic, object_stores
from penstock.core.files.object_stores import Store


class SpoolFolder(ABC):
    """Files by their names below a folder, such as content/3f2a."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Returns the names of the files directly in a subfolder, sorted."""

    @abstractmethod
    def has(self, name: str) -> bool: ...

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Returns a small file's content; None if there is none."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Writes a small file, or replaces it; it is safe once this returns."""

    @abstractmethod
    def take(self, path: Path, name: str) -> None:
        """Moves a local file of any size here; it is safe once this returns."""

    @abstractmethod
    def fetch(self, files: Mapping[str, Path]) -> None:
        """Puts files, by their names, to local paths that exist in no other form; they must not be changed there."""

    @abstractmethod
    def remove(self, name: str) -> None: ...


@contextlib.contextmanager
def opened(uri: str) -> Iterator[SpoolFolder]:
    """Yields the folder of a path or URI; it is made when something is written."""
    if object_stores.is_remote(uri):
        with object_stores.open_store(uri) as store:
            yield _Remote(store, uri)
    else:
        yield _Local(atomic.local_path(uri))


@dataclass(frozen=True)
class _Local(SpoolFolder):
    root: Path

    def names(self, folder: str) -> list[str]:
        path = self.root / folder
        return sorted(one.name for one in path.iterdir() if one.name[0] != ".") if path.is_dir() else []

    def has(self, name: str) -> bool:
        return (self.root / name).is_file()

    def read(self, name: str) -> bytes | None:
        return (self.root / name).read_bytes() if self.has(name) else None

    def write(self, name: str, content: bytes) -> None:
        with self._safe(name) as temporary:
            temporary.write_bytes(content)

    def take(self, path: Path, name: str) -> None:
        with self._safe(name) as temporary:
            shutil.move(path, temporary)

    @contextlib.contextmanager
    def _safe(self, name: str) -> Iterator[Path]:
        target = self.root / name
        with atomic.replacing(target) as temporary:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        atomic.sync_folder(target.parent)

    def fetch(self, files: Mapping[str, Path]) -> None:
        for name, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self.root / name, path)
            except FileNotFoundError:
                raise ConfigError(f"{self.root / name} does not exist any more") from None
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(self.root / name, path)

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Remote(SpoolFolder):
    store: Store
    uri: str

    def names(self, folder: str) -> list[str]:
        return self.store.children(self._place(folder))[0]

    def has(self, name: str) -> bool:
        return self.store.is_file(self._place(name))

    def read(self, name: str) -> bytes | None:
        return self.store.read(self._place(name)) if self.has(name) else None

    def write(self, name: str, content: bytes) -> None:
        self.store.write(self._place(name), content)

    def take(self, path: Path, name: str) -> None:
        self.store.upload(path, self._place(name))
        path.unlink()

    def fetch(self, files: Mapping[str, Path]) -> None:
        self.store.fetch({self._place(name): path for name, path in files.items()})

    def remove(self, name: str) -> None:
        self.store.remove(self._place(name))

    def _place(self, name: str) -> str:
        return object_stores.join(self.uri, name)

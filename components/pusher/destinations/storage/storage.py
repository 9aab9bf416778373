"""What a storage of versions offers."""

import contextlib
from abc import ABC, abstractmethod
from pathlib import Path

from penstock.components.pusher.destinations.storage.version import Version


class Storage(ABC):
    """A place where each version of a model has a folder, whose name is its number. The highest is the newest."""

    @property
    @abstractmethod
    def base(self) -> str:
        """The path or URI that the versions are below."""

    @abstractmethod
    def push(self, serving: Path) -> Version:
        """Makes the model in the folder `serving` the newest version, unless it is that already.

        The number is the time in Unix seconds, or one more than the highest number if that is not lower. That happens
        after two pushes in a second, or if a clock was set back. Raises a UserError if it cannot be written.
        """

    @abstractmethod
    def newest(self, count: int) -> list[Version]:
        """Returns complete versions, `count` at most, the newest first; none where there is no storage yet."""

    @abstractmethod
    def holds(self, version: Version) -> bool:
        """Whether a version is there, and complete."""

    @abstractmethod
    def reading(self, version: Version) -> contextlib.AbstractContextManager[Path]:
        """Gives a folder with the version's files."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Returns the content of a file beside the versions; None if it is not there."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Writes a file beside the versions, whole. Raises a UserError if it cannot be written."""

    @abstractmethod
    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Keeps others from changing what serves, as far as the storage can: those who ask for the same wait."""

    @abstractmethod
    def removal(self, version: Version) -> str:
        """Returns the command by which a person removes a version."""

"""The result of a push, to any destination."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """A version of a model: its place, a path or URI that ends in its number, and whether this push made it."""

    place: str
    new: bool

    @property
    def number(self) -> int:
        return int(self.place.rpartition("/")[2])

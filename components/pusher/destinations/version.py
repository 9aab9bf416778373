"""What a push has come to, wherever the model went."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """A version of a model: its place, a path or a URI that ends in its number; `new` if this push made it."""

    place: str
    new: bool

    @property
    def number(self) -> int:
        return int(self.place.rpartition("/")[2])

"""A version in a storage."""

from dataclasses import dataclass
from datetime import UTC, datetime

_FIRST = 1_000_000_000  # seconds since 1970, September 2001: a lower number is a count of somebody's, no time
_LAST = 100_000_000_000


@dataclass(frozen=True)
class Version:
    """A version of a model: its place, a path or URI that ends in its number, and whether this push made it."""

    place: str
    new: bool = False

    @property
    def number(self) -> int:
        return int(self.place.rpartition("/")[2])

    @property
    def created(self) -> str:
        """When it was pushed, as its number says, an ISO 8601 time; "" for a number that is no time."""
        if not _FIRST <= self.number <= _LAST:
            return ""
        return datetime.fromtimestamp(self.number, UTC).isoformat()

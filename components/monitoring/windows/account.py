"""What became of the requests of a window: how many rows they have, and what was left out, with its reason."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from penstock.core.artifacts.monitoring import LeftOut
from penstock.core.text import printable

type Unit = Literal["rows", "files", "values", "labels"]


@dataclass
class Reasons:
    """How often each reason was met, and where first."""

    _counts: Counter[tuple[Unit, str]] = field(default_factory=Counter)
    _examples: dict[tuple[Unit, str], str] = field(default_factory=dict)

    def add(self, unit: Unit, reason: str, example: str, count: int = 1) -> None:
        """Counts what has a reason, which is the same for all of a kind; `example` says where the first is."""
        if count:
            key = unit, printable.sentence(reason)
            self._counts[key] += count
            self._examples.setdefault(key, printable.sentence(example))

    def merge(self, other: "Reasons") -> None:
        """Adds the reasons that were met later."""
        self._counts.update(other._counts)
        self._examples = other._examples | self._examples

    def listed(self) -> list[LeftOut]:
        """Returns the reasons, the most frequent first."""
        ordered = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return [
            LeftOut(unit=unit, reason=reason, count=count, example=self._examples[unit, reason])
            for (unit, reason), count in ordered
        ]


@dataclass
class Account:
    """Counts that shards add to and that are merged. Picklable.

    Args:
        requests: How many requests are in the window.
        rows: How many rows they have.
        stands_for: How many requests these stand for, where only a sample is logged.
        versions: How many rows each of the model's versions has answered.
        unknown: In how many rows there is a feature that the schema does not know.
        left_out: What is in no measure.
        odd: What is odd about requests that are measured, such as answers of other outputs, which are not.
    """

    requests: int = 0
    rows: int = 0
    stands_for: float = 0.0
    versions: Counter[int] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    left_out: Reasons = field(default_factory=Reasons)
    odd: Reasons = field(default_factory=Reasons)

    def count_request(self, sample: float) -> None:
        """Adds a request of which nothing can be read; `sample` is the share of all requests that is logged."""
        self.requests += 1
        self.stands_for += 1 / sample if 0 < sample <= 1 else 1

    def merge(self, other: "Account") -> "Account":
        """Adds an account of later pieces to this one, and returns it."""
        self.requests += other.requests
        self.rows += other.rows
        self.stands_for += other.stands_for
        self.versions.update(other.versions)
        self.unknown.update(other.unknown)
        self.left_out.merge(other.left_out)
        self.odd.merge(other.odd)
        return self

    @property
    def sampled(self) -> float:
        """The share of all requests that is logged."""
        return self.requests / self.stands_for if self.stands_for else 1.0

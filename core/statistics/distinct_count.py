"""How many different things there are, and how many of them are there again, by their hashes in bounded memory.

The count is exact up to 4,095. Beyond, it is estimated from the 4,096 smallest hashes (KMV, Bar-Yossef et al. 2002),
with a standard error of about 1.6 %. These hashes are a sample of all different things, so they tell exactly whether
each thing of the sample is there again.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

SAMPLE = 4096  # of the distinct things

type Hashes = npt.NDArray[np.uint64]


@dataclass
class DistinctCount:
    """Counts distinct hashes of 64 bits. `smallest` are sorted."""

    smallest: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))

    def add(self, hashes: Hashes) -> None:
        """Adds hashes, which may be there already."""
        if len(self.smallest) == SAMPLE:
            hashes = hashes[hashes < self.smallest[-1]]
        self.smallest = np.unique(np.concatenate([self.smallest, hashes]))[:SAMPLE]

    def merge(self, other: "DistinctCount") -> None:
        """Adds the other's."""
        self.add(other.smallest)

    @property
    def count(self) -> int:
        """How many distinct hashes were added."""
        if len(self.smallest) < SAMPLE:
            return len(self.smallest)
        return round((SAMPLE - 1) * 2.0**64 / float(self.smallest[-1]))


@dataclass
class RepeatCount:
    """Tells the share of distinct hashes of 64 bits that are there more than once; `again` is of each of `smallest`."""

    smallest: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))
    again: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def add(self, hashes: Hashes, again: npt.NDArray[np.bool_]) -> None:
        """Adds hashes that differ from each other, and whether each of them is there more than once."""
        if len(self.smallest) == SAMPLE:
            chosen = hashes <= self.smallest[-1]
            hashes, again = hashes[chosen], again[chosen]
        merged, places = np.unique(np.concatenate([self.smallest, hashes]), return_inverse=True)
        repeated = np.bincount(places, minlength=len(merged)) > 1
        repeated |= np.bincount(places, np.concatenate([self.again, again]), len(merged)) > 0
        self.smallest, self.again = merged[:SAMPLE], repeated[:SAMPLE]

    def merge(self, other: "RepeatCount") -> None:
        """Adds the other's."""
        self.add(other.smallest, other.again)

    @property
    def share(self) -> float:
        """The share of the distinct hashes that were added more than once, exact up to 4,096 distinct ones."""
        return float(self.again.mean()) if len(self.again) else 0.0

"""How many different things there are, counted by their hashes in bounded memory.

The count is exact up to 4,095. Beyond, it is estimated from the 4,096 smallest hashes (KMV, Bar-Yossef et al. 2002),
with a standard error of about 1.6 %.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

_SIZE = 4096

type Hashes = npt.NDArray[np.uint64]


@dataclass
class DistinctCount:
    """Counts distinct hashes of 64 bits. `smallest` are sorted."""

    smallest: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))

    def add(self, hashes: Hashes) -> None:
        """Adds hashes, which may be there already."""
        if len(self.smallest) == _SIZE:
            hashes = hashes[hashes < self.smallest[-1]]
        self.smallest = np.unique(np.concatenate([self.smallest, hashes]))[:_SIZE]

    def merge(self, other: "DistinctCount") -> None:
        """Adds the other's."""
        self.add(other.smallest)

    @property
    def count(self) -> int:
        """How many distinct hashes were added."""
        if len(self.smallest) < _SIZE:
            return len(self.smallest)
        return round((_SIZE - 1) * 2.0**64 / float(self.smallest[-1]))

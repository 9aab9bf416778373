"""A bounded sample of a split's rows, spread over all of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from penstock.core.examples import records

_READ = 250_000  # records of a split that are read at most: reading costs about two microseconds each


def rows(files: Sequence[Path], most: int) -> list[bytes]:
    """Returns up to `most` records of files, at equal distances: data often comes sorted.

    Of a split with more records than are read at most, they are from the beginnings of its files. The same files give
    the same rows.
    """
    kept: list[bytes] = []
    step = 1  # of all records, every such one is kept
    position = 0
    for file in files:
        for batch in _beginning(file, max(_READ // len(files), 1)):
            kept += batch[-position % step :: step]
            position += len(batch)
            while len(kept) > 4 * most:
                kept, step = kept[::2], 2 * step
    places = np.linspace(0, len(kept) - 1, min(most, len(kept))).round().astype(int)
    return [kept[place] for place in places]


def _beginning(file: Path, most: int) -> Iterator[list[bytes]]:
    for batch in records.read(file):
        yield batch[:most]
        most -= len(batch)
        if most <= 0:
            return

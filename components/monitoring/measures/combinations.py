"""Combinations of two features' values that training hardly has, although it would if the two were independent.

Rows of one category that are called by another's name change the shares of both, if they are few by less than chance
does. But they make combinations that were not there: one carrier flies to places that the other does not. How many rows
have any of a set of such combinations is one number, and one that chance keeps small.

A combination's share of training's rows, in relation to the product of both values' shares, is what pointwise mutual
information is the logarithm of (Church and Hanks 1990).
"""

import base64
import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.components.monitoring.measures.bins import FeatureBins
from penstock.components.monitoring.measures.distances import Array, Indices

PLACES = 64  # of a feature's values, the last of which is for rows without one
# Which combinations are taken: the least likely ones that, were the features independent, so many rows would have.
_INDEPENDENT = 0.3
_RARE = 0.4  # of the rows that they would have then; if they have more, the pair is left out
_EXPECTED = 4.0  # rows, of combinations that none has: those are taken in any case
_UNCERTAIN = 1.0  # row that is added to both: what few rows are expected in is not known to be rare
_MOST = 100  # pairs, those whose combinations are the rarest
_ROWS = 65_536  # that are looked at at once

type Cells = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RarePair:
    """Two features, and which of their combinations training hardly has.

    cells: For each place of the first feature and of the second, whether they are such a combination.
    found: How many of `rows` of training have one; the combinations were chosen by others.
    """

    features: tuple[str, str]
    cells: Cells
    found: int
    rows: int


@dataclass(frozen=True)
class Combinations:
    """Pairs of features with rare combinations. `places` are those of each feature's bins."""

    places: Mapping[str, Indices] = field(default_factory=dict)
    pairs: Sequence[RarePair] = ()

    @classmethod
    def of(cls, bins: Mapping[str, FeatureBins], rows: Indices) -> "Combinations":
        """Learns them from rows of training: for each row and feature the bin of its first value, -1 if it has none.

        One half of the rows says which combinations are rare, and the other one how rare these are.
        """
        mapped = {name: _places(one, rows[:, index]) for index, (name, one) in enumerate(bins.items())}
        placed = [_placed(mapped[name], rows[:, index]) for index, name in enumerate(bins)]
        choosing, measuring = ([column[half::2] for column in placed] for half in (0, 1))
        names = list(bins)
        chosen: list[tuple[float, RarePair]] = []
        for first, second in itertools.combinations(range(len(names)), 2):
            cells, share = _rare(choosing[first], choosing[second])
            if cells.any():
                found = _count(cells, measuring[first], measuring[second])
                pair = RarePair((names[first], names[second]), cells, found, len(measuring[first]))
                chosen.append((share, pair))
        pairs = [pair for _, pair in sorted(chosen, key=lambda one: one[0])[:_MOST]]
        used = {name for pair in pairs for name in pair.features}
        return cls({name: one for name, one in mapped.items() if name in used}, pairs)

    def count(self, rows: Mapping[str, Indices]) -> Indices:
        """Returns for each pair how many rows have a rare combination; `rows` are bins by feature, as in `of`."""
        result: Indices = np.zeros(len(self.pairs), np.int64)
        for part in _parts(rows) if self.pairs else ():
            placed = self.placed({name: part[name] for name in self.places})
            result += [_count(pair.cells, *(placed[name] for name in pair.features)) for pair in self.pairs]
        return result

    def placed(self, rows: Mapping[str, Indices]) -> dict[str, Indices]:
        """Returns the place of each row's value, for features that are in a pair."""
        return {name: _placed(self.places[name], one) for name, one in rows.items()}

    def document(self) -> dict[str, Any]:
        """Returns them as JSON holds them."""
        pairs = [
            {"features": list(pair.features), "cells": _packed(pair.cells), "found": pair.found, "rows": pair.rows}
            for pair in self.pairs
        ]
        return {"places": {name: one.tolist() for name, one in self.places.items()}, "pairs": pairs}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Combinations":
        """Reads what `document` returned."""
        pairs = [
            RarePair((one["features"][0], one["features"][1]), _unpacked(one["cells"]), one["found"], one["rows"])
            for one in document["pairs"]
        ]
        return cls({name: np.asarray(one, np.int64) for name, one in document["places"].items()}, pairs)


def _places(bins: FeatureBins, rows: Indices) -> Indices:
    """Returns the place of each bin. Of many, frequent categories have their own, and numbers share it with others."""
    if bins.size < PLACES:
        return np.arange(bins.size)
    counts = np.bincount(rows[rows >= 0], minlength=bins.size)
    if bins.kind == "category":
        places: Indices = np.full(bins.size, PLACES - 2)
        frequent = np.argsort(-counts[:-1], kind="stable")[: PLACES - 2]
        places[frequent] = np.arange(PLACES - 2)
        return places
    middle = (np.cumsum(counts) - counts / 2) / max(1, counts.sum())
    return np.asarray(np.minimum(middle * (PLACES - 1), PLACES - 2), np.int64)


def _placed(places: Indices, rows: Indices) -> Indices:
    return np.append(places, PLACES - 1)[rows]  # -1 is the last


def _rare(first: Indices, second: Indices) -> tuple[Cells, float]:
    """Returns the combinations that rows hardly have, none if they are not so few, and the share of rows with them."""
    joint = np.bincount(first * PLACES + second, minlength=PLACES * PLACES)
    both: list[Array] = [np.bincount(one, minlength=PLACES) / max(1, len(first)) for one in (first, second)]
    independent = np.outer(*both).ravel()
    expected = independent * len(first)
    ratio = (joint + _UNCERTAIN) / (expected + _UNCERTAIN)
    candidates = np.flatnonzero(ratio <= _RARE)
    candidates = candidates[np.argsort(ratio[candidates], kind="stable")]
    last = int(np.searchsorted(np.cumsum(independent[candidates]), _INDEPENDENT))
    cells: Cells = np.zeros(PLACES * PLACES, bool)
    if last < len(candidates):
        cells[candidates[: last + 1]] = True
        cells |= (joint == 0) & (expected >= _EXPECTED)
    return cells.reshape(PLACES, PLACES), float(joint[cells].sum()) / max(1, len(first))


def _count(cells: Cells, first: Indices, second: Indices) -> int:
    return int(np.count_nonzero(cells.ravel().take(first * PLACES + second)))


def _parts(rows: Mapping[str, Indices]) -> Iterator[dict[str, Indices]]:
    """Yields rows, few enough for the processor's cache."""
    size = max((len(one) for one in rows.values()), default=0)
    for start in range(0, size, _ROWS):
        yield {name: one[start : start + _ROWS] for name, one in rows.items()}


def _packed(cells: Cells) -> str:
    return base64.b64encode(zlib.compress(np.packbits(cells).tobytes())).decode()


def _unpacked(text: str) -> Cells:
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(bits).astype(bool).reshape(PLACES, PLACES)

"""The most striking of the combinations that training hardly has, in words: rows of the window beside training's."""

from collections import Counter

import numpy as np
import pyarrow as pa

from penstock.components.monitoring import words
from penstock.components.monitoring.measures import counts
from penstock.components.monitoring.measures.bins import FeatureBins
from penstock.components.monitoring.measures.combinations import PLACES
from penstock.components.monitoring.measures.distances import Array, Indices
from penstock.components.monitoring.measures.reference import Reference
from penstock.core.page import numbers
from penstock.core.text import printable

_LONGEST = 40  # characters of a value


def striking(reference: Reference, features: tuple[str, str], before: pa.Table, after: pa.Table) -> str:
    """Returns the one whose share of the rows has grown the most; "" where the rows do not show any.

    `before` and `after` are rows of training and of the window, lists.
    """
    pair = next(one for one in reference.combinations.pairs if one.features == features)
    bins = {name: reference.bins[name] for name in features}
    rows = [_placed(reference, bins, table) for table in (before, after)]
    shares = [_shares(one) for one in rows]
    grown = np.where(pair.cells.ravel(), shares[1] - shares[0], 0)
    cell = int(grown.argmax())
    if grown[cell] <= 0:
        return ""
    having = pa.array(np.flatnonzero(rows[1] == cell))
    first, second = (_value(bins[name], after, having) for name in features)
    share, share_before = (numbers.percentage(float(one[cell])) for one in (shares[1], shares[0]))
    return f"{first} with {second} is {share} of the rows, in training {share_before}"


def _placed(reference: Reference, bins: dict[str, FeatureBins], table: pa.Table) -> Indices:
    """Returns the combination of each row, the place of the first feature's value times PLACES and the second's."""
    there = [name for name in bins if name in table.column_names]
    arrays = [table[name].combine_chunks() for name in there]
    if not arrays:
        return np.zeros(0, np.int64)
    places = counts.row_bins(bins, pa.RecordBatch.from_arrays(arrays, there))
    first, second = reference.combinations.placed(dict(zip(bins, places.T, strict=True))).values()
    return first * PLACES + second


def _shares(rows: Indices) -> Array:
    return np.bincount(rows, minlength=PLACES * PLACES) / max(1, len(rows))


def _value(bins: FeatureBins, table: pa.Table, rows: pa.Array) -> str:
    """Returns what the rows have of a feature: of categories the most frequent one, of numbers from where to where."""
    column = table[bins.name].take(rows).to_pylist() if bins.name in table.column_names else []
    values = [one[0] for one in column if one]
    name = words.short(bins.name)
    if not values:
        return f"no {name}"
    if bins.kind == "category":
        value = Counter(values).most_common(1)[0][0]
        text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        return f"'{printable.shortened(printable.printable(text), _LONGEST)}'"
    least, greatest = (numbers.number(float(one)) for one in (min(values), max(values)))
    return f"{name} {least}" if least == greatest else f"{name} {least} to {greatest}"

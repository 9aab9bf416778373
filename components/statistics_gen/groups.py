"""The rows of a sample by their label: one group per class, or thirds of a label that is a number."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.page import numbers

_CLASSES = 5
_LONGEST = 24  # characters of a class's name


def by_label(table: pa.Table, label: str) -> Mapping[str, pa.Table]:
    """Returns the rows of each of the most frequent classes, or of each third of the label; nothing without a label.

    A row whose label is missing, or is a list of several, is in no group.
    """
    if label not in table.column_names or pa.types.is_null(table.schema.field(label).type):
        return {}
    column = table[label].combine_chunks()
    single = pc.equal(pc.fill_null(pc.list_value_length(column), 0), 1)
    table, column = table.filter(single), column.filter(single)
    values = column.flatten()
    if len(values) == 0:
        return {}
    counts = sorted(pc.value_counts(values).to_pylist(), key=lambda entry: -entry["counts"])
    is_number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    if is_number and len(counts) > _CLASSES:
        return _thirds(table, values.to_numpy(zero_copy_only=False))
    frequent = [entry["values"] for entry in counts[:_CLASSES]]
    return {f"{label} = {name(value)}": table.filter(pc.equal(values, value)) for value in sorted(frequent)}


def name(value: str | bytes | float) -> str:
    """Returns a value as a person reads it, not too long."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _thirds(table: pa.Table, values: np.ndarray) -> Mapping[str, pa.Table]:
    """Returns the rows up to each of two bounds and above them, of which there is one if most labels are equal."""
    bounds = np.unique(np.nanquantile(values, [1 / 3, 2 / 3]))
    lower = [-np.inf, *bounds]
    parts = {
        **{f"up to {numbers.number(high)}": (values > low) & (values <= high) for low, high in pairwise(lower)},
        f"above {numbers.number(bounds[-1])}": values > bounds[-1],
    }
    return {title: table.filter(pa.array(rows)) for title, rows in parts.items() if rows.any()}

"""The rows of a sample by their label: one group per class, or thirds of a label that is a number."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.page import numbers
from penstock.core.text import printable

_CLASSES = 5
_LONGEST = 20  # characters of a value's name, which a chart has room for
_DIGITS = 17  # tell any two numbers apart


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
    frequent = sorted(entry["values"] for entry in counts[:_CLASSES])
    titles = names([text(value) for value in frequent])
    return {
        f"{label} = {title}": table.filter(pc.equal(values, value))
        for title, value in zip(titles, frequent, strict=True)
    }


def text(value: str | bytes | float) -> str:
    """Returns the whole of a value as text; different bytes are different texts."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def names(values: Sequence[str]) -> list[str]:
    """Returns values as a chart or a table shows them: not too long, and all different."""
    return printable.names(values, _LONGEST)


def _thirds(table: pa.Table, values: np.ndarray) -> Mapping[str, pa.Table]:
    """Returns the rows up to each of two bounds and above them, of which there is one if most labels are equal."""
    bounds = np.unique(np.nanquantile(values, [1 / 3, 2 / 3]))
    titles = _titles(bounds, grouped=values.dtype.kind != "i" or not numbers.are_years(values.min(), values.max()))
    parts = {
        f"up to {title}": (values > low) & (values <= high)
        for title, (low, high) in zip(titles, pairwise([-np.inf, *bounds]), strict=True)
    }
    parts[f"above {titles[-1]}"] = values > bounds[-1]
    return {title: table.filter(pa.array(rows)) for title, rows in parts.items() if rows.any()}


def _titles(bounds: np.ndarray, grouped: bool) -> list[str]:
    """Returns numbers with three digits, or with as many as tell them apart."""
    for digits in range(3, _DIGITS):
        titles = [numbers.number(bound, digits, grouped) for bound in bounds]
        if len(set(titles)) == len(titles):
            return titles
    return [numbers.number(bound, _DIGITS, grouped) for bound in bounds]

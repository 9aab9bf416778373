"""Columns of dates: their values as moments, read as the model without code reads them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.statistics_gen import groups
from penstock.trainer.plan import dates


def of(column: str, values: Mapping[str, pa.Array]) -> Mapping[str, np.ndarray] | None:
    """Returns the seconds since 1970 of each group's values, without the few that are no dates.

    None for a column that holds none: dates are strings of one format, or integers if the column's name says so.
    """
    read = _reader(column, [of_group for of_group in values.values() if len(of_group)])
    return {name: _seconds(of_group, read) for name, of_group in values.items()} if read else None


def _reader(column: str, values: Sequence[pa.Array]) -> Callable[[Any], datetime | None] | None:
    if not values:
        return None
    if all(pa.types.is_integer(array.type) for array in values):
        bounds = [pc.min_max(array).as_py() for array in values]
        form = dates.unit(min(one["min"] for one in bounds), max(one["max"] for one in bounds))
        return (lambda number: dates.from_number(number, form)) if form and dates.names_time(column) else None
    if any(pa.types.is_integer(array.type) or pa.types.is_floating(array.type) for array in values):
        return None
    distinct = dict.fromkeys(groups.text(value) for array in values for value in array.unique().to_pylist())
    written = dates.written(list(distinct))
    if not written:
        return None
    read = dates.reader(written.format)
    return lambda value: read(groups.text(value))


def _seconds(values: pa.Array, read: Callable[[Any], datetime | None]) -> np.ndarray:
    encoded = values.dictionary_encode()
    moments = [read(value) for value in encoded.dictionary.to_pylist()]
    seconds = np.array([np.nan if moment is None else dates.seconds(moment) for moment in moments])
    each = seconds[encoded.indices.to_numpy(zero_copy_only=False)] if len(seconds) else seconds
    return np.extract(np.isfinite(each), each)

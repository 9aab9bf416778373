"""Rules of numbers, as array operations on a column's values. Numbers are compared as float64, whole ones exactly."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.cleaning.rows import Mask, Rows, Values
from penstock.core.cleaning.rules import Otherwise, Outliers, Range, Unit

type Bounds = tuple[float | None, float | None]
type Floats = npt.NDArray[np.float64]
_CLIPPED, _CONVERTED = "clipped", "converted"
_INT64 = np.iinfo(np.int64)


def within(rule: Range, rows: Rows) -> None:
    for column in rule.columns:
        _bounded(rows, column, (rule.min, rule.max), rule.otherwise)


def outliers(rule: Outliers, rows: Rows, learned: Mapping[str, Sequence[float]]) -> None:
    """`learned` are the bounds of each column."""
    for column in rule.columns:
        low, high = learned[column]
        _bounded(rows, column, (low, high), rule.otherwise)


def _bounded(rows: Rows, column: str, bounds: Bounds, otherwise: Otherwise) -> None:
    """Refuses or moves numbers outside of bounds; NaN, which is no number, is left to the rules of missing values."""
    if rows.type(column) not in ("integer", "float"):
        return
    values = rows.values(column)
    numbers = values.flat.to_numpy(zero_copy_only=False)
    low, high = (_bound(bound, numbers.dtype, place) for place, bound in enumerate(bounds))
    below = np.zeros(len(numbers), bool) if low is None else numbers < low
    above = np.zeros(len(numbers), bool) if high is None else numbers > high
    if otherwise != "clip":
        rows.refuse(column, values, below | above, otherwise)
        return
    clipped = numbers.copy()
    clipped[below], clipped[above] = low, high
    rows.put(column, values, pa.array(clipped, values.flat.type), below | above, _CLIPPED)


def _bound(bound: float | None, dtype: np.dtype, place: int) -> np.int64 | np.float32 | None:
    """Returns a bound as the column's type holds it: the next one inwards, so that what is clipped to it is within."""
    if bound is None:
        return None
    if dtype.kind == "i":
        whole = int(np.ceil(bound) if place == 0 else np.floor(bound)) if isinstance(bound, float) else bound
        return np.int64(min(max(whole, _INT64.min), _INT64.max))
    nearest = np.float32(bound)
    if place == 0 and nearest < bound:
        return np.float32(np.nextafter(nearest, np.float32(np.inf)))
    return np.float32(np.nextafter(nearest, np.float32(-np.inf))) if place == 1 and nearest > bound else nearest


def unit(rule: Unit, rows: Rows) -> None:
    for column in rule.columns:
        if rows.type(column) not in ("integer", "float"):
            continue
        values = rows.values(column)
        numbers = values.flat.to_numpy(zero_copy_only=False).astype(np.float64)
        new = numbers.copy()
        if rule.by:
            of_rows = _units_of(rule, rows)[values.rows]
            for index, (factor, offset) in enumerate(rule.units.values()):
                new = np.where(of_rows == index, numbers * factor + offset, new)
            chosen = of_rows >= 0
        else:
            low, high = rule.min, rule.max
            chosen = ~np.isnan(numbers)
            chosen &= True if low is None else numbers >= low
            chosen &= True if high is None else numbers <= high
            new = np.where(chosen, numbers * rule.factor + rule.offset, numbers)
        rows.put(column, values, _of_type(new, chosen, values), chosen, _CONVERTED)
    if rule.by:
        _name_unit(rule, rows)


def _units_of(rule: Unit, rows: Rows) -> npt.NDArray[np.int64]:
    """Returns which of the rule's units each row has, -1 for none of them."""
    if rows.type(rule.by) != "text":
        return np.full(rows.count, -1, np.int64)
    known = pa.array([name.encode() for name in rule.units], pa.large_binary())
    places = pc.fill_null(pc.index_in(rows.single(rule.by), value_set=known), -1)
    found: npt.NDArray[np.int64] = places.to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _name_unit(rule: Unit, rows: Rows) -> None:
    """Writes the unit that numbers have now in the place of the one that they had."""
    if rows.type(rule.by) == "text":
        values = rows.values(rule.by)
        known = pa.array([name.encode() for name in rule.units if name != rule.to], pa.large_binary())
        changed: Mask = pc.is_in(values.flat, value_set=known).to_numpy(zero_copy_only=False)
        flat = pc.if_else(pa.array(changed), pa.scalar(rule.to.encode(), pa.large_binary()), values.flat)
        rows.put(rule.by, values, flat, changed, _CONVERTED)


def _of_type(new: Floats, chosen: Mask, values: Values) -> pa.Array:
    """Returns converted numbers in the column's type: of whole numbers the nearest whole ones."""
    if not pa.types.is_integer(values.flat.type):
        with np.errstate(over="ignore"):  # what is beyond 32-bit floats is infinite
            return pa.array(new.astype(np.float32), values.flat.type)
    old = values.flat.to_numpy(zero_copy_only=False)
    rounded = np.clip(np.rint(new), -(2.0**63), 2.0**63 - 1024).astype(np.int64)
    return pa.array(np.where(chosen, rounded, old), values.flat.type)

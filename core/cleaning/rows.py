"""Rows on their way through the rules of cleaning: list columns as in TFXIO, and what became of each row.

A column is a list of int64, float32 or binary for each row, null where the row has no value, or of Arrow's null type
where no row has one. Rules look at `Values`: all values of a column in one array, and the row that each is in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.cleaning.rules import FLAG, Otherwise, Type
from penstock.core.errors import DataError

type Mask = npt.NDArray[np.bool_]
type Numbers = npt.NDArray[np.int64]

ARROW: dict[Type, pa.DataType] = {"integer": pa.int64(), "float": pa.float32(), "text": pa.large_binary()}
DROPPED, MISSING, FLAGGED = "dropped", "missing", "flagged"
_ACTIONS: dict[Otherwise, str] = {"drop": DROPPED, "missing": MISSING, "flag": FLAGGED}


@dataclass(frozen=True)
class Values:
    """The values of a column, none of them null, and the ascending row of each."""

    flat: pa.Array
    rows: Numbers


@dataclass(frozen=True)
class Change:
    """What a rule did to one column.

    Args:
        step: The rule's index.
        column: The column; "" for a whole row.
        action: What was done: `dropped`, `missing`, `flagged`, or a word of the rule's own.
        numbers: The rows, by their numbers at the beginning; a row with several values may be there several times.
        old, new: The values as text, null for none.
    """

    step: int
    column: str
    action: str
    numbers: Numbers
    old: pa.Array
    new: pa.Array


class Rows:
    """The rows that are left, in their order, and what was changed so far.

    `numbers` are the rows' numbers at the beginning. Where it does not record, no change is kept, and texts that cannot
    be read are left alone.
    """

    def __init__(self, columns: Mapping[str, pa.Array], count: int, records: bool = True, first: int = 0):
        self.columns = dict(columns)
        self.numbers: Numbers = np.arange(first, first + count, dtype=np.int64)
        self.changes: list[Change] = []
        self.records = records
        self.step = 0
        self.is_touched = False  # whether any column is another one
        self._values: dict[str, Values] = {}  # of columns as they are now
        self.has_other_columns = False  # so that every row is another one

    @classmethod
    def of(cls, batch: pa.RecordBatch, records: bool = True, first: int = 0) -> "Rows":
        """Returns the rows of a batch, of which the first has the number `first`."""
        return cls(dict(zip(batch.schema.names, batch.columns, strict=True)), batch.num_rows, records, first)

    @property
    def count(self) -> int:
        return len(self.numbers)

    def batch(self) -> pa.RecordBatch:
        """Returns the rows as list columns."""
        if not self.columns:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * self.count, pa.struct([])))
        return pa.RecordBatch.from_arrays(list(self.columns.values()), list(self.columns))

    def type(self, column: str) -> Type | None:
        """Returns the type of a column's values; None if no row has one."""
        if column not in self.columns or pa.types.is_null(self.columns[column].type):
            return None
        inner = self.columns[column].type.value_type
        if pa.types.is_null(inner):
            return None
        return "integer" if pa.types.is_integer(inner) else "float" if pa.types.is_floating(inner) else "text"

    def values(self, column: str) -> Values:
        """Returns a column's values; without the column, or any value of it, none."""
        if column not in self._values:
            self._values[column] = self._found(column)
        return self._values[column]

    def _found(self, column: str) -> Values:
        lists = self.columns.get(column)
        if lists is None or pa.types.is_null(lists.type):
            return Values(pa.nulls(0), np.empty(0, np.int64))
        lengths = _lengths(lists)
        flat = lists.flatten()
        if not (pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type)):
            flat = flat.cast(ARROW["text"])
        rows = np.arange(len(lists)) if (lengths == 1).all() else np.repeat(np.arange(len(lists)), lengths)
        return Values(flat, rows.astype(np.int64, copy=False))

    def set(self, column: str, lists_: pa.Array) -> None:
        """Gives a column other lists, or adds it."""
        self.columns[column] = lists_
        self._values.pop(column, None)
        self.is_touched = True

    def without_value(self, column: str) -> Mask:
        """Returns which rows have no value of a column, or NaN alone."""
        values = self.values(column)
        there: Mask = np.zeros(self.count, bool)
        there[values.rows[~_is_nan(values.flat)]] = True
        return ~there

    def single(self, column: str) -> pa.Array:
        """Returns the value of each row, null where it has none; a DataError if a row has several."""
        values = self.values(column)
        if len(values.rows) > 1 and (np.diff(values.rows) == 0).any():
            raise DataError(
                f"column {column!r} has several values in a row: a rule of several columns takes one of each"
            )
        if len(values.rows) == self.count:
            return values.flat
        places: Numbers = np.full(self.count, -1, np.int64)
        places[values.rows] = np.arange(len(values.rows))
        return values.flat.take(pa.array(places, mask=places < 0))

    def put(self, column: str, values: Values, flat: pa.Array, changed: Mask, action: str) -> None:
        """Gives values their new ones, `flat`, of which those in `changed` differ."""
        if changed.any():
            self._record(column, action, values, changed, flat)
            self.set(column, lists(flat, values.rows, self.count))

    def fill(self, column: str, rows: Mask, value: pa.Scalar, action: str) -> None:
        """Gives rows without a value this one; what they have of NaN goes."""
        self.fill_each(column, rows, pa.array([value.as_py()] * int(rows.sum()), value.type), action)

    def fill_each(self, column: str, rows: Mask, new: pa.Array, action: str) -> None:
        """Gives rows without a value one of `new` each, in their order; null leaves a row as it is."""
        there = pc.is_valid(new).to_numpy(zero_copy_only=False)
        chosen = np.flatnonzero(rows)[there]
        if not len(chosen):
            return
        new = new.filter(pa.array(there))
        values = self.values(column)
        old = pa.nulls(len(chosen), pa.string())
        if self.records:
            self.changes.append(Change(self.step, column, action, self.numbers[chosen], old, as_text(new)))
        kept = ~np.isin(values.rows, chosen)
        flat = values.flat.filter(pa.array(kept)).cast(new.type) if kept.any() else new.slice(0, 0)
        at = np.concatenate([values.rows[kept], chosen])
        order = np.argsort(at, kind="stable")
        joined = pa.concat_arrays([flat, new]).take(pa.array(order))
        self.set(column, lists(joined, at[order], self.count))

    def refuse(self, column: str, values: Values, bad: Mask, otherwise: Otherwise) -> None:
        """Does with the values in `bad` what the rule says: all but `clip`."""
        if not bad.any():
            return
        if otherwise == "drop":
            first = np.unique(values.rows[bad], return_index=True)[1]
            places = np.flatnonzero(bad)[first]
            rows: Mask = np.zeros(self.count, bool)
            rows[values.rows[places]] = True
            self.drop(rows, column, as_text(values.flat.take(pa.array(places))) if self.records else None)
            return
        self._record(column, _ACTIONS[otherwise], values, bad, None if otherwise == "missing" else values.flat)
        if otherwise == "missing":
            kept = pa.array(~bad)
            self.set(column, lists(values.flat.filter(kept), values.rows[~bad], self.count))
        else:
            rows = np.zeros(self.count, bool)
            rows[values.rows[bad]] = True
            self._flag(column + FLAG, rows)

    def mark(self, name: str, rows: Mask) -> None:
        """Marks rows that fail a check of several columns in the column `<name>_flagged`."""
        if self.records and rows.any():
            nothing = pa.nulls(int(rows.sum()), pa.string())
            self.changes.append(Change(self.step, name + FLAG, FLAGGED, self.numbers[rows], nothing, nothing))
        self._flag(name + FLAG, rows)

    def complete(self, flags: Iterable[str]) -> None:
        """Adds those of the columns that mark rows which are not there: no value was looked at."""
        for name in flags:
            if name not in self.columns or self.without_value(name).any():
                self._flag(name, np.zeros(self.count, bool))

    def drop(self, rows: Mask, column: str = "", old: pa.Array | None = None) -> None:
        """Drops rows; `old` are the values for which they are dropped."""
        if not rows.any():
            return
        if self.records:
            nothing = pa.nulls(int(rows.sum()), pa.string())
            old = nothing if old is None else old
            self.changes.append(Change(self.step, column, DROPPED, self.numbers[rows], old, nothing))
        kept = pa.array(~rows)
        self.columns = {name: lists_.filter(kept) for name, lists_ in self.columns.items()}
        self.numbers = self.numbers[~rows]
        self._values.clear()
        self.is_touched = True

    def convert(self, column: str, values: Values, flat: pa.Array, bad: Mask, otherwise: Otherwise) -> None:
        """Gives a column another type; `flat` is null where a value cannot be converted, which is in `bad`."""
        kept = ~bad
        rows: Mask = np.zeros(self.count, bool)
        rows[values.rows[bad]] = True
        if bad.any() and otherwise != "drop":
            self._record(column, MISSING, values, bad, None)
        self.set(column, lists(flat.filter(pa.array(kept)), values.rows[kept], self.count))
        self.has_other_columns = True
        if bad.any() and otherwise == "drop":
            places = np.flatnonzero(bad)[np.unique(values.rows[bad], return_index=True)[1]]
            self.drop(rows, column, as_text(values.flat.take(pa.array(places))) if self.records else None)

    def leave_out(self, columns: Iterable[str]) -> None:
        """Leaves out columns, those that are there."""
        for column in columns:
            if self.columns.pop(column, None) is not None:
                self._values.pop(column, None)
                self.has_other_columns = self.is_touched = True

    def changed(self) -> Numbers:
        """Returns the numbers of rows that were changed or dropped, each once, ascending."""
        return np.unique(np.concatenate([np.empty(0, np.int64), *(change.numbers for change in self.changes)]))

    def _flag(self, name: str, rows: Mask) -> None:
        flags = rows.astype(np.int64)
        if name in self.columns:  # of an earlier rule
            flags |= pc.fill_null(self.single(name), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        self.set(name, lists(pa.array(flags), np.arange(self.count), self.count))
        self.has_other_columns = True

    def _record(self, column: str, action: str, values: Values, changed: Mask, flat: pa.Array | None) -> None:
        if self.records:
            chosen = pa.array(np.flatnonzero(changed))
            old = as_text(values.flat.take(chosen))
            new = pa.nulls(len(chosen), pa.string()) if flat is None else as_text(flat.take(chosen))
            self.changes.append(Change(self.step, column, action, self.numbers[values.rows[changed]], old, new))


def lists(flat: pa.Array, rows: Numbers, count: int) -> pa.Array:
    """Returns `count` lists of values, of which `rows` are the ascending rows; null for a row without one."""
    lengths = np.bincount(rows, minlength=count)
    offsets: Numbers = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    nothing: Mask = np.append(lengths == 0, False)
    return pa.LargeListArray.from_arrays(pa.array(offsets, mask=nothing if nothing.any() else None), flat)


def as_text(values: pa.Array) -> pa.Array:
    """Returns values as a person reads them; bytes that are no text have the sign � in them."""
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), pa.string())
    if pa.types.is_large_binary(values.type) or pa.types.is_binary(values.type):
        try:
            return values.cast(pa.string())
        except pa.ArrowInvalid:
            decoded = (None if one is None else one.decode(errors="replace") for one in values.to_pylist())
            return pa.array(decoded, pa.string())
    return values.cast(pa.string())


def _lengths(lists_: pa.Array) -> Numbers:
    lengths: Numbers = pc.fill_null(pc.list_value_length(lists_), 0).to_numpy(zero_copy_only=False)
    return lengths.astype(np.int64, copy=False)


def _is_nan(flat: pa.Array) -> Mask:
    if not pa.types.is_floating(flat.type):
        return np.zeros(len(flat), bool)
    nan: Mask = np.isnan(flat.to_numpy(zero_copy_only=False))
    return nan

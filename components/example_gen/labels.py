"""What must hold for a label before anything is trained on it."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.errors import DataError
from penstock.components.example_gen import configs
from penstock.components.example_gen.configs import OutputSplits

_CLASSES = 20  # a label of integers or bytes with at most so many values is taken for classes
_KEPT = 100


@dataclass
class LabelValues:
    """The distinct values of a label in some rows, with their counts; `many` if there are too many to keep.

    `missing` is the number of rows without a value; NaN is none.
    """

    counts: dict[Any, int] = field(default_factory=dict)
    missing: int = 0
    many: bool = False
    floats: bool = False
    others: set[str] = field(default_factory=set)  # the features of rows that lack the label

    def add(self, label: str, columns: pa.RecordBatch, chosen: np.ndarray | None) -> None:
        """Adds the chosen rows' values (None: all rows')."""
        rows = columns.num_rows if chosen is None else int(np.count_nonzero(chosen))
        if label not in columns.schema.names:
            self.others.update(columns.schema.names)
            self.missing += rows
            return
        column = columns.column(label) if chosen is None else columns.column(label).filter(pa.array(chosen))
        if pa.types.is_null(column.type):
            self.missing += rows
            return
        self.floats = self.floats or pa.types.is_floating(column.type.value_type)
        values = column.flatten()
        self.missing += rows - (pc.sum(pc.greater(pc.list_value_length(column), 0)).as_py() or 0)
        if pa.types.is_floating(values.type):
            numbers = values.filter(pc.invert(pc.is_nan(values)))
            self.missing += len(values) - len(numbers)
            values = numbers
        counts = pc.value_counts(values)
        self._add(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))

    def merge(self, other: "LabelValues") -> None:
        self.floats = self.floats or other.floats
        self.others |= other.others
        self.missing += other.missing
        self._add(other.counts.items())
        if other.many:
            self.many, self.counts = True, {}

    def _add(self, counts: Iterable[tuple[Any, int]]) -> None:
        if not self.many:
            for value, count in counts:
                self.counts[value] = self.counts.get(value, 0) + count
        if len(self.counts) > _KEPT:
            self.many, self.counts = True, {}


def require_column(label: str, names: Iterable[str], where: str) -> None:
    """Raises a DataError with the nearest name if there is no column `label`."""
    names = list(names)
    if label in names:
        return
    nearest = difflib.get_close_matches(label, names, n=1) or [name for name in names if name.lower() == label.lower()]
    shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"the columns are {shown}"
    raise DataError(f"{where}: label {label!r} does not exist; {hint}")


def check(label: str, by_split: Mapping[str, LabelValues], output: OutputSplits) -> int:
    """Returns how many rows have no value of the label.

    Raises a DataError if a label has no value, only one value, or a class that a split lacks.
    """
    total = LabelValues()
    for values in by_split.values():
        total.merge(values)
    if total.many:
        return total.missing
    if not total.counts and total.others:
        require_column(label, sorted(total.others), "examples")
    if not total.counts:
        raise DataError(f"label {label!r}: no row has a value: name another label, or mend the data")
    if len(total.counts) == 1:
        raise DataError(
            f"label {label!r}: every row{' but those without one' if total.missing else ''} has the value "
            f"{_show(*total.counts)}: there is nothing to learn from it"
        )
    for split, values in by_split.items():
        if not values.counts:
            raise DataError(f"label {label!r}: no row of split {split!r} has a value: check how the data is split")
        missing = [value for value in total.counts if value not in values.counts]
        if missing and not total.floats and len(total.counts) <= _CLASSES:
            raise DataError(
                f"label {label!r}: split {split!r} has no row of class {_show(missing[0])}, of which there are "
                f"{total.counts[missing[0]]} in all: {configs.more_rows(output)}"
            )
    return total.missing


def _show(value: Any) -> str:
    return repr(value.decode(errors="replace") if isinstance(value, bytes) else value)

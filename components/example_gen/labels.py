"""What must hold for a label before anything is trained on it."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.example_gen import configs
from penstock.components.example_gen.configs import OutputSplits
from penstock.core import csv_format, progress
from penstock.core.errors import DataError
from penstock.core.labels import Values
from penstock.core.suggestions import did_you_mean

logger = logging.getLogger(__name__)
_KEPT = 100
_NAMED = 3

type Value = bytes | int | float


@dataclass
class LabelValues:
    """The distinct values of a label in some rows, with their counts.

    Args:
        counts: Empty if there are `too_many` values to keep.
        missing: The number of rows without a value; NaN is none.
        floats: Whether a number is no integer.
        stand_ins: Counts of the texts that most often mean that there is no value.
        words: Whether there are texts beside them that are no numbers.
        other_features: The features of rows that lack the label.
    """

    counts: dict[Value, int] = field(default_factory=dict)
    missing: int = 0
    too_many: bool = False
    floats: bool = False
    stand_ins: Counter[str] = field(default_factory=Counter)
    words: bool = False
    other_features: set[str] = field(default_factory=set)

    def add(self, label: str, columns: pa.RecordBatch, chosen: np.ndarray | None) -> None:
        """Adds the chosen rows' values (None: all rows')."""
        rows = columns.num_rows if chosen is None else int(np.count_nonzero(chosen))
        if label not in columns.schema.names:
            self.other_features.update(columns.schema.names)
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
        encoded = pc.value_counts(values)
        counts = dict(zip(encoded.field("values").to_pylist(), encoded.field("counts").to_pylist(), strict=True))
        self._add(counts.items())
        self._look_for_stand_ins(counts)

    def merge(self, other: "LabelValues") -> None:
        """Adds the other's values to these."""
        self.floats = self.floats or other.floats
        self.stand_ins += other.stand_ins
        self.words = self.words or other.words
        self.other_features |= other.other_features
        self.missing += other.missing
        self._add(other.counts.items())
        if other.too_many:
            self.too_many, self.counts = True, {}

    @property
    def are_classes(self) -> bool:
        """Whether the values, of which none may be left out, are classes."""
        two = len(self.counts) == 2
        numbers = [value for value in self.counts if not isinstance(value, bytes)]
        if len(numbers) < len(self.counts):
            return Values("string", two).are_classes
        return Values("float" if self.floats else "integer", two, min(numbers), max(numbers)).are_classes

    def _add(self, counts: Iterable[tuple[Value, int]]) -> None:
        if not self.too_many:
            for value, count in counts:
                self.counts[value] = self.counts.get(value, 0) + count
        if len(self.counts) > _KEPT:
            self.too_many, self.counts = True, {}

    def _look_for_stand_ins(self, counts: Mapping[Value, int]) -> None:
        for value, count in counts.items():
            if isinstance(value, bytes):
                text = value.decode(errors="replace")
                if text.strip().lower() in csv_format.STAND_INS:
                    self.stand_ins[text] += count
                elif not self.words:
                    self.words = csv_format.number(text) is None


def require_column(label: str, names: Iterable[str], where: str) -> None:
    """Raises a DataError with the nearest name if there is no column `label`."""
    names = list(names)
    if label in names:
        return
    raise DataError(f"{where}: label {label!r} does not exist; {did_you_mean(label, names, 'the columns are')}")


def check(label: str, by_split: Mapping[str, LabelValues], output: OutputSplits) -> None:
    """Raises a DataError if a label has no value, in all rows or in those of a split, or only one.

    Warns of classes that a split lacks, and of values that look like missing ones.
    """
    total = LabelValues()
    for values in by_split.values():
        total.merge(values)
    _warn_of_stand_ins(label, total)
    if total.too_many:
        return
    if not total.counts and total.other_features:
        require_column(label, sorted(total.other_features), "examples")
    if not total.counts:
        raise DataError(f"label {label!r}: no row has a value: name another label, or mend the data")
    if len(total.counts) == 1:
        digits = (
            "; if its numbers do differ, it is beyond the 32 bits that examples keep of them: subtract a constant"
            if total.floats
            else ""
        )
        raise DataError(
            f"label {label!r}: every row{' but those without one' if total.missing else ''} has the value "
            f"{_show(*total.counts)}: there is nothing to learn from it{digits}"
        )
    for split, values in by_split.items():
        if not values.counts:
            raise DataError(f"label {label!r}: no row of split {split!r} has a value: check how the data is split")
        lacking = {value: count for value, count in total.counts.items() if value not in values.counts}
        if lacking and total.are_classes:
            _warn_of_classes(label, split, lacking, output)


def _warn_of_classes(label: str, split: str, lacking: Mapping[Value, int], output: OutputSplits) -> None:
    """A class may be too rare for every split. A model that is trained without it does not know it."""
    named = [f"{_show(value)} ({count:,} in all)" for value, count in list(lacking.items())[:_NAMED]]
    shares = "; splits: {by: random, stratify: true} gives each split its share of every class"
    more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
    logger.warning(
        "label %r: split %r has no row of class %s%s: what is trained on it does not learn that, what is evaluated on "
        "it is not measured by it; %s%s",
        label,
        split,
        ", ".join(named),
        more,
        configs.more_rows(output),
        shares if output.names and not output.stratify and max(lacking.values()) > 1 else "",
    )


def _warn_of_stand_ins(label: str, values: LabelValues) -> None:
    if not values.stand_ins:
        return
    listed = ", ".join(f"{text!r} ({progress.text({'rows': count})})" for text, count in values.stand_ins.most_common())
    beside = "" if values.words else ", and so are the numbers beside it"
    logger.warning(
        "label %r: %s is a class like any other%s; if it means that there is no value, data.csv.null_values: %s says "
        "so for CSV, and an empty value for other formats",
        label,
        listed,
        beside,
        json.dumps(list(values.stand_ins), ensure_ascii=False),
    )


def _show(value: Value) -> str:
    return repr(value.decode(errors="replace") if isinstance(value, bytes) else value)

"""What ExampleGen tells of the rows that it divides: how many differ, what their columns are, and what moves them.

A row's split by content is the hash of all of its values, types included. Rows that are equal are in one split, and
a column whose type changes moves most rows to another split.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.components.example_gen.configs import OutputSplits
from penstock.components.example_gen.splits import Assigned
from penstock.core.artifacts import Examples
from penstock.core.files import documents
from penstock.core.statistics.distinct_count import DistinctCount

logger = logging.getLogger(__name__)
_OFTEN = 5  # so many rows to a different one: few differ
_FEWEST = 50  # rows of which that is said
_FRACTIONS = 3  # numbers at most that make a column of integers floats by mistake
_LOOKED_AT = 200  # numbers of a block, which tell most columns of fractions
_WHOLE = 20  # to each of them
_MOST_CHARACTERS = 1 << 14  # of metadata: more is not kept by every metadata store


@dataclass
class Fractions:
    """The numbers of a column of floats that are integers, those that are not, and one of the latter."""

    whole: int = 0
    others: int = 0
    example: float = 0.0

    def merge(self, other: "Fractions") -> None:
        self.example = self.example if self.others else other.example
        self.whole, self.others = self.whole + other.whole, self.others + other.others


@dataclass
class Rows:
    """What is known of some rows.

    Args:
        distinct: How many different rows there are, where their contents divide them.
        types: The type of each column's values, as TFX names it.
        fractions: Of each column of floats.
        unpartitioned: Rows without a value of the partition feature, by the split that they are in.
    """

    distinct: DistinctCount = field(default_factory=DistinctCount)
    types: dict[str, str] = field(default_factory=dict)
    fractions: dict[str, Fractions] = field(default_factory=dict)
    unpartitioned: Counter[str] = field(default_factory=Counter)

    def add(self, columns: pa.RecordBatch, assigned: Assigned | None, splits: tuple[str, ...]) -> None:
        """Adds a block of rows; `assigned` says how they are divided, None for rows that keep their splits."""
        for name, column in zip(columns.schema.names, columns.columns, strict=True):
            kind = _type(column)
            self._add_type(name, kind)
            if kind == "float":
                self.fractions.setdefault(name, Fractions()).merge(_fractions(column))
        if assigned is not None and assigned.hashes is not None:
            self.distinct.add(assigned.hashes)
        if assigned is not None and assigned.unpartitioned is not None:
            of_splits = np.bincount(assigned.indices[assigned.unpartitioned], minlength=len(splits))
            self.unpartitioned.update(dict(zip(splits, of_splits.tolist(), strict=True)))

    def merge(self, other: "Rows") -> None:
        """Adds the other's rows to these."""
        self.distinct.merge(other.distinct)
        for name, kind in other.types.items():
            self._add_type(name, kind)
        for name, fractions in other.fractions.items():
            self.fractions.setdefault(name, Fractions()).merge(fractions)
        self.unpartitioned.update(other.unpartitioned)

    def few_differ(self, total: int) -> bool:
        """Whether rows are equal to so many others that a split by content has none of the other splits' rows."""
        return total >= _FEWEST and 0 < self.distinct.count * _OFTEN <= total

    def metadata(self, output: OutputSplits) -> dict[str, str]:
        """Returns what later runs are compared with: how the rows were divided, and the columns' types."""
        division = {
            "splits": dict(zip(output.names, output.buckets, strict=True)),
            "by": output.by,
            "partition_feature": output.partition_feature_name,
            "seed": output.seed,
            "stratify": output.stratify,
        }
        types = documents.json_text({name: self.types[name] for name in sorted(self.types)})
        kept = {Examples.COLUMN_TYPES: types} if len(types) <= _MOST_CHARACTERS else {}
        return ({Examples.DIVISION: documents.json_text(division)} if output.names else {}) | kept

    def warn(self, output: OutputSplits, total: int) -> None:
        """Tells what a person may want to mend about how the rows are divided."""
        if output.by == "content" and self.few_differ(total):
            logger.warning(
                "%s rows, and %s different ones: equal rows are in one split, so no other split has a row like those "
                "of %r; splits: {by: row} divides them by their place in the data, and {by: random} at random",
                f"{total:,}",
                f"{self.distinct.count:,}",
                output.names[-1],
            )
        self._warn_of_fractions(output)
        without = self.unpartitioned.total()
        if without > 1:
            logger.warning(
                "%s of %s rows have no value of the partition feature %r: they are equal in it, so all of them are in "
                "split %r; fill it, or leave out splits.partition_feature",
                f"{without:,}",
                f"{total:,}",
                output.partition_feature_name,
                next(iter(+self.unpartitioned)),
            )

    def _warn_of_fractions(self, output: OutputSplits) -> None:
        moved = ""
        if output.by in ("auto", "content") and output.names and not output.partition_feature_name:
            moved = ", and the rows have other splits than with integers, unless splits is {by: row}"
        for name, seen in sorted(self.fractions.items()):
            if 0 < seen.others <= _FRACTIONS and seen.whole >= _WHOLE * seen.others:
                logger.warning(
                    "column %r: %s of its %s numbers %s no integer%s (%g): so all are floats of 32 bits%s; if it is a "
                    "slip, mend it",
                    name,
                    seen.others,
                    f"{seen.others + seen.whole:,}",
                    "is" if seen.others == 1 else "are",
                    "" if seen.others == 1 else "s",
                    seen.example,
                    moved,
                )

    def _add_type(self, name: str, kind: str) -> None:
        self.types[name] = kind or self.types.get(name, "")


def _type(column: pa.Array) -> str:
    """Returns the name of the type of a list column's values, "" where no row has one."""
    if pa.types.is_null(column.type) or pa.types.is_null(column.type.value_type):
        return ""
    value_type = column.type.value_type
    if pa.types.is_floating(value_type):
        return "float"
    return "int64" if pa.types.is_integer(value_type) or pa.types.is_boolean(value_type) else "bytes"


def _fractions(column: pa.Array) -> Fractions:
    """Counts all numbers of a block, unless the first ones tell already that there are too many fractions to name."""
    numbers: npt.NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False)
    first = _counted(numbers[:_LOOKED_AT])
    return first if first.others > _FRACTIONS or len(numbers) <= _LOOKED_AT else _counted(numbers)


def _counted(numbers: npt.NDArray[np.float32]) -> Fractions:
    finite = numbers[np.isfinite(numbers)]
    others = finite[finite != np.floor(finite)]
    return Fractions(len(finite) - len(others), len(others), float(others[0]) if len(others) else 0.0)

"""What each rule collects of the rows of a shard: small counts, or files in the folder that all workers see."""

from abc import ABC, abstractmethod
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.example_cleaner.learning import duplicates, modes, quantiles
from penstock.components.example_cleaner.shards import Shard
from penstock.core.cleaning.rows import Rows
from penstock.core.cleaning.rules import Duplicates, Missing, Outliers, Rule

_MOST_ROWS = 1 << 20  # in memory, before they are written


@dataclass(frozen=True)
class Spill:
    """Where a rule's files of a shard go, and in how many partitions."""

    folder: Path
    step: int
    shard: Shard
    partitions: int

    def path(self, what: str, suffix: str) -> Path:
        return self.folder / f"rule{self.step:03d}-{what}-{self.shard.number:05d}{suffix}"


class Learner(ABC):
    """Collects what one rule needs to know of one shard."""

    @abstractmethod
    def add(self, rows: Rows) -> None:
        """Adds rows, as they are before the rule."""

    @abstractmethod
    def result(self) -> Any:
        """Returns what was collected, in kilobytes."""


class Shares(Learner):
    """How many rows there are, and how many have no value, by column."""

    def __init__(self, rule: Missing):
        self._columns = rule.columns
        self._rows = 0
        self._missing = dict.fromkeys(rule.columns, 0)

    def add(self, rows: Rows) -> None:
        self._rows += rows.count
        for column in self._columns:
            self._missing[column] += int(rows.without_value(column).sum())

    def result(self) -> tuple[int, dict[str, int]]:
        return self._rows, self._missing


class _ByColumn[Part: Sized](Learner):
    """The values of each column, in files of a bounded number of them."""

    def __init__(self, rule: Rule, spill: Spill):
        self._spill = spill
        self._waiting: dict[str, list[Part]] = {column: [] for column in rule.columns}
        self._files: dict[str, list[Path]] = {column: [] for column in rule.columns}

    @abstractmethod
    def _part(self, values: pa.Array) -> Part:
        """Returns what is kept of the values of some rows."""

    @abstractmethod
    def _written(self, place: str, parts: list[Part]) -> Path:
        """Writes the parts of a column to a file whose name tells its place."""

    def add(self, rows: Rows) -> None:
        for column, waiting in self._waiting.items():
            if rows.type(column) is None:
                continue
            waiting.append(self._part(rows.values(column).flat))
            if sum(map(len, waiting)) >= _MOST_ROWS:
                self._write(column)

    def _write(self, column: str) -> None:
        place = f"{list(self._files).index(column)}-{len(self._files[column])}"
        self._files[column].append(self._written(place, self._waiting[column]))
        self._waiting[column] = []

    def result(self) -> dict[str, list[Path]]:
        for column, waiting in self._waiting.items():
            if sum(map(len, waiting)):
                self._write(column)
        return self._files


class SortedNumbers(_ByColumn[np.ndarray]):
    """The numbers of each column, in sorted files."""

    def _part(self, values: pa.Array) -> np.ndarray:
        numbers: np.ndarray = values.to_numpy(zero_copy_only=False).astype(np.float64)
        kept: np.ndarray = numbers[~np.isnan(numbers)]
        return kept

    def _written(self, place: str, parts: list[np.ndarray]) -> Path:
        return quantiles.write(self._spill.path(place, ".npy"), np.concatenate(parts))


class Counted(_ByColumn[pa.Array]):
    """How often each value of each column occurs, in files by partition."""

    def _part(self, values: pa.Array) -> pa.Array:
        return values.filter(pc.invert(pc.is_nan(values))) if pa.types.is_floating(values.type) else values

    def _written(self, place: str, parts: list[pa.Array]) -> Path:
        return modes.write(self._spill.path(place, ".arrow"), pa.concat_arrays(parts), self._spill.partitions)


class Keys(Learner):
    """The keys of rows, in files by partition."""

    def __init__(self, rule: Duplicates, spill: Spill):
        self._rule, self._spill = rule, spill
        self._waiting: list[pa.RecordBatch] = []
        self._files: list[Path] = []

    def add(self, rows: Rows) -> None:
        self._waiting.append(duplicates.keyed(self._rule, rows))
        if sum(batch.num_rows for batch in self._waiting) >= _MOST_ROWS:
            self._write()

    def _write(self) -> None:
        (batch,) = pa.Table.from_batches(self._waiting).combine_chunks().to_batches()
        path = self._spill.path(str(len(self._files)), ".arrow")
        number, count = self._spill.shard.number, self._spill.partitions
        self._files.append(duplicates.write(path, batch, number, count))
        self._waiting = []

    def result(self) -> list[Path]:
        if sum(batch.num_rows for batch in self._waiting):
            self._write()
        return self._files


class Last(Learner):
    """The last value of each column."""

    def __init__(self, rule: Missing):
        self._columns = rule.columns
        self._last: dict[str, pa.Scalar] = {}

    def add(self, rows: Rows) -> None:
        for column in self._columns:
            there = np.flatnonzero(~rows.without_value(column))
            if len(there):
                self._last[column] = rows.single(column)[int(there[-1])]

    def result(self) -> dict[str, pa.Scalar]:
        return self._last


def learner(rule: Rule, spill: Spill) -> Learner:
    """Returns what collects for a rule that learns."""
    match rule:
        case Duplicates():
            return Keys(rule, spill)
        case Missing(action="drop_column"):
            return Shares(rule)
        case Missing(action="mode"):
            return Counted(rule, spill)
        case Missing(action="previous"):
            return Last(rule)
        case Missing() | Outliers():
            return SortedNumbers(rule, spill)
    raise AssertionError(f"{rule.KIND} learns nothing")


def learns_of_all_splits(rule: Rule) -> bool:
    """Whether a rule looks at every split: which rows are there twice, and what comes before, is nothing learned."""
    return isinstance(rule, Duplicates) or (isinstance(rule, Missing) and rule.action == "previous")

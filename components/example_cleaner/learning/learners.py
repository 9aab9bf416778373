"""What each rule collects of the rows of a shard: small counts, or files in the folder that all workers see."""

from abc import ABC, abstractmethod
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


class SortedNumbers(Learner):
    """The numbers of each column, in sorted files."""

    def __init__(self, rule: Rule, spill: Spill):
        self._spill = spill
        self._waiting: dict[str, list[np.ndarray]] = {column: [] for column in rule.columns}
        self._files: dict[str, list[Path]] = {column: [] for column in rule.columns}

    def add(self, rows: Rows) -> None:
        for column, waiting in self._waiting.items():
            if rows.type(column) is None:
                continue
            numbers = rows.values(column).flat.to_numpy(zero_copy_only=False).astype(np.float64)
            waiting.append(numbers[~np.isnan(numbers)])
            if sum(map(len, waiting)) >= _MOST_ROWS:
                self._write(column)

    def _write(self, column: str) -> None:
        place = f"{list(self._files).index(column)}-{len(self._files[column])}"
        numbers = np.concatenate(self._waiting[column])
        self._files[column].append(quantiles.write(self._spill.path(place, ".npy"), numbers))
        self._waiting[column] = []

    def result(self) -> dict[str, list[Path]]:
        for column, waiting in self._waiting.items():
            if sum(map(len, waiting)):
                self._write(column)
        return self._files


class Counted(Learner):
    """How often each value of each column occurs, in files by partition."""

    def __init__(self, rule: Missing, spill: Spill):
        self._spill = spill
        self._waiting: dict[str, list[pa.Array]] = {column: [] for column in rule.columns}
        self._files: dict[str, list[Path]] = {column: [] for column in rule.columns}

    def add(self, rows: Rows) -> None:
        for column, waiting in self._waiting.items():
            if rows.type(column) is None:
                continue
            flat = rows.values(column).flat
            waiting.append(flat.filter(pc.invert(pc.is_nan(flat))) if pa.types.is_floating(flat.type) else flat)
            if sum(map(len, waiting)) >= _MOST_ROWS:
                self._write(column)

    def _write(self, column: str) -> None:
        place = f"{list(self._files).index(column)}-{len(self._files[column])}"
        values = pa.concat_arrays(self._waiting[column])
        self._files[column].append(modes.write(self._spill.path(place, ".arrow"), values, self._spill.partitions))
        self._waiting[column] = []

    def result(self) -> dict[str, list[Path]]:
        for column, waiting in self._waiting.items():
            if sum(map(len, waiting)):
                self._write(column)
        return self._files


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

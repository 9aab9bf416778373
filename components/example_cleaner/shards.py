"""The shards of cleaning, and how the rules are applied to the rows of one.

A shard is a file of a split. What a rule needs to know of other shards, a pass before has found: which rows of it are
duplicates, which values come before it, what a file of references holds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.example_cleaner import partitions, references
from penstock.core.cleaning import texts
from penstock.core.cleaning.cleaning import Cleaning
from penstock.core.cleaning.rows import Mask, Numbers, Rows
from penstock.core.cleaning.rules import Duplicates, Missing, Reference, Type
from penstock.core.cleaning.steps import FILLED
from penstock.core.errors import DataError
from penstock.core.examples import decoder, payloads, records

_BATCH_ROWS = 1 << 14
_LISTS: dict[Type, int] = {
    "integer": decoder.INT64_LIST,
    "float": decoder.FLOAT_LIST,
    "text": decoder.BYTES_LIST,
}


@dataclass(frozen=True)
class Shard:
    """A file of a split; `number` counts all files of all splits."""

    split: str
    number: int
    file: Path

    def batches(self, columns: Mapping[str, Type] | None = None) -> Iterator[tuple[list[bytes], Rows]]:
        """Yields the records of the file, and the same as rows, which are numbered from 0 on.

        With `columns`, of these types, the rows may lack all others: most of the time is that of decoding.
        """
        kinds = {name: _LISTS[kind] for name, kind in columns.items()} if columns else None
        first = 0
        for examples in records.read(self.file, _BATCH_ROWS):
            try:
                batch = decoder.decode(examples, kinds) if kinds else None
                batch = records.decode(examples) if batch is None else batch
            except (RuntimeError, ValueError) as error:
                message = payloads.MESSAGES[payloads.TF_EXAMPLE]
                reason = str(error).partition(": ")[2] or str(error)
                raise DataError(f"{self.file}: expected serialized {message}s: {reason}") from None
            yield examples, Rows.of(batch, first=first)
            first += len(examples)


@dataclass(frozen=True)
class Plan:
    """The rules with what was learned so far. Picklable: it travels to the engine's workers.

    Args:
        cleaning: The rules.
        duplicates: Of each such rule, the files with the rows that it drops.
        previous: Of each such rule, by the shard's number: the value of each column that comes before it.
        references: Of each such rule, the file with the values that there are.
    """

    cleaning: Cleaning
    duplicates: Mapping[int, Sequence[Path]] = field(default_factory=dict)
    previous: Mapping[int, Sequence[Mapping[str, pa.Scalar]]] = field(default_factory=dict)
    references: Mapping[int, Path] = field(default_factory=dict)

    def known(self, learned: Mapping[int, Any]) -> "Plan":
        """Returns the plan with what a pass has learned, by the places of the rules."""
        duplicates, previous, values = dict(self.duplicates), dict(self.previous), {}
        for index, result in learned.items():
            rule = self.cleaning.rules[index]
            if isinstance(rule, Duplicates):
                duplicates[index] = result
            elif isinstance(rule, Missing) and rule.action == "previous":
                previous[index] = result
            else:
                values[index] = result
        cleaning = self.cleaning.with_learned(values)
        return replace(self, cleaning=cleaning, duplicates=duplicates, previous=previous)


class Application:
    """Applies the rules of a plan to the batches of one shard, in their order."""

    def __init__(self, plan: Plan, shard: Shard):
        self._plan = plan
        self._shard = shard
        self._carried: dict[int, dict[str, pa.Scalar]] = {}
        self._duplicates: dict[int, Numbers] = {}
        self._references: dict[int, frozenset[bytes]] = {}

    def apply(self, index: int, rows: Rows) -> None:
        """Applies one rule."""
        rows.step = index
        match self._plan.cleaning.rules[index]:
            case Duplicates():
                if index not in self._duplicates:
                    self._duplicates[index] = partitions.of_shard(self._plan.duplicates[index], self._shard.number)
                rows.drop(np.isin(rows.numbers, self._duplicates[index]))
            case Missing(action="previous") as rule:
                self._fill_from_before(index, rule, rows)
            case Reference() as rule:
                if index not in self._references:
                    self._references[index] = references.values(self._plan.references[index])
                texts.reference(rule, rows, self._references[index])
                rows.complete(rule.flags)
            case _:
                self._plan.cleaning.apply(index, rows)

    def apply_all(self, indices: Iterable[int], rows: Rows) -> None:
        for index in indices:
            self.apply(index, rows)

    def _fill_from_before(self, index: int, rule: Missing, rows: Rows) -> None:
        if index not in self._carried:
            self._carried[index] = dict(self._plan.previous[index][self._shard.number])
        carried = self._carried[index]
        for column in rule.columns:
            nothing = rows.without_value(column)
            new = last_values(rows, column, nothing, carried.get(column))
            if rows.type(column) is not None and not nothing.all():
                there = np.flatnonzero(~nothing)
                carried[column] = rows.single(column)[int(there[-1])]
            if new is not None:
                rows.fill_each(column, nothing, new, FILLED)


def last_values(rows: Rows, column: str, nothing: Mask, before: pa.Scalar | None) -> pa.Array | None:
    """Returns for each row without a value the last one before it, null where there is none; None for all."""
    if not nothing.any():
        return None
    places: Numbers = np.where(nothing, -1, np.arange(rows.count))
    last = np.maximum.accumulate(places)[nothing]
    if rows.type(column) is None or (last < 0).all():
        return None if before is None else pa.array([before.as_py()] * len(last), before.type)
    values = rows.single(column)
    found = values.take(pa.array(last, mask=last < 0))
    return found if before is None else pc.fill_null(found, before.cast(found.type))

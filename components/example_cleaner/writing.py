"""The last pass: writes the cleaned rows of a shard, and what was changed in them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.components.example_cleaner.shards import Application, Plan, Shard
from penstock.core.artifacts import Quarantine
from penstock.core.cleaning.rows import DROPPED, Change, Numbers, Rows
from penstock.core.examples import records
from penstock.core.files import atomic

_SHOWN = 5  # changes of each rule in the page
_WORD = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("split", _WORD),
        ("file", _WORD),
        ("record", pa.int64()),
        ("rule", _WORD),
        ("column", _WORD),
        ("action", _WORD),
        ("old_value", pa.string()),
        ("new_value", pa.string()),
        ("example", pa.large_binary()),
    ]
)


@dataclass(frozen=True)
class Effect:
    """What a rule did to a column in a split."""

    step: int
    split: str
    column: str
    action: str


@dataclass(frozen=True)
class Shown:
    """One change, for the page."""

    split: str
    file: str
    record: int
    column: str
    action: str
    old: str | None
    new: str | None


@dataclass
class Counted:
    """What became of rows.

    Args:
        rows, dropped, changed: Rows of each split: all, those that were dropped, and those that were changed.
        effects: Values, by what was done to them; of `dropped` rows.
        present: Rows that have a value, by split and column, before and after.
        shown: The first changes of each rule.
    """

    rows: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    effects: Counter[Effect] = field(default_factory=Counter)
    before: Counter[tuple[str, str]] = field(default_factory=Counter)
    after: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: dict[int, list[Shown]] = field(default_factory=dict)

    def merge(self, other: "Counted") -> "Counted":
        """Adds what became of later rows, and returns this."""
        for mine, others in zip(self._counters(), other._counters(), strict=True):
            mine.update(others)  # type: ignore[arg-type]
        for step, shown in other.shown.items():
            known = self.shown.setdefault(step, [])
            known += shown[: _SHOWN - len(known)]
        return self

    def _counters(self) -> Sequence[Counter[object]]:
        return (self.rows, self.dropped, self.changed, self.effects, self.before, self.after)  # type: ignore[return-value]


@dataclass(frozen=True)
class Writer:
    """Writes a shard's rows into the folder of its split, and its changes into the quarantine. Picklable."""

    plan: Plan
    folders: dict[str, Path]
    quarantine: Quarantine
    shards: int

    def __call__(self, shard: Shard) -> Counted:
        counted = Counted(rows=Counter({shard.split: 0}))
        application = Application(self.plan, shard)
        steps = range(len(self.plan.cleaning.steps))
        with (
            records.writer(self.folders[shard.split] / shard.file.name) as append,
            _Changes(self.quarantine.shard(shard.number, self.shards), keeps_empty=shard.number == 0) as changes,
        ):
            first = 0
            for examples, rows in shard.batches():
                _count_present(counted.before, shard.split, rows)
                application.apply_all(steps, rows)
                append(_examples(examples, rows, first))
                changes.write(self._table(shard, rows, examples, first))
                _count_present(counted.after, shard.split, rows)
                self._count(counted, shard, rows, len(examples))
                first += len(examples)
        return counted

    def _table(self, shard: Shard, rows: Rows, examples: Sequence[bytes], first: int) -> pa.Table:
        """Returns the changes of a batch in the order of its rows, of a row in the order of the rules."""
        tables = [self._changes(shard, change, examples, first) for change in rows.changes if len(change.numbers)]
        if not tables:
            return SCHEMA.empty_table()
        table = pa.concat_tables(tables)
        return table.take(pa.array(np.argsort(table["record"].to_numpy(), kind="stable")))

    def _changes(self, shard: Shard, change: Change, examples: Sequence[bytes], first: int) -> pa.Table:
        count = len(change.numbers)
        rule = self.plan.cleaning.rules[change.step].name
        words = (shard.split, shard.file.name, None, rule, change.column, change.action)
        whole = (
            pa.array([examples[number - first] for number in change.numbers.tolist()], pa.large_binary())
            if change.action == DROPPED
            else pa.nulls(count, pa.large_binary())
        )
        columns = [pa.array([word] * count, pa.string()).dictionary_encode() for word in words if word is not None]
        columns.insert(2, pa.array(change.numbers + 1))
        return pa.Table.from_arrays([*columns, change.old, change.new, whole], schema=SCHEMA)

    def _count(self, counted: Counted, shard: Shard, rows: Rows, count: int) -> None:
        counted.rows[shard.split] += count
        counted.dropped[shard.split] += count - rows.count
        counted.changed[shard.split] += int(np.isin(rows.changed(), rows.numbers).sum())
        for change in rows.changes:
            if not len(change.numbers):
                continue
            counted.effects[Effect(change.step, shard.split, change.column, change.action)] += len(change.numbers)
            known = counted.shown.setdefault(change.step, [])
            olds, news = change.old[:_SHOWN].to_pylist(), change.new[:_SHOWN].to_pylist()
            for number, old, new in zip(change.numbers[:_SHOWN].tolist(), olds, news, strict=True):
                if len(known) < _SHOWN:
                    known.append(
                        Shown(shard.split, shard.file.name, number + 1, change.column, change.action, old, new)
                    )


class _Changes:
    """A Parquet file, whole or not at all; none where nothing was changed, unless it keeps an empty one."""

    def __init__(self, path: Path, keeps_empty: bool):
        self._path, self._keeps_empty = path, keeps_empty
        self._replacing = atomic.replacing(path)

    def __enter__(self) -> "_Changes":
        self._temporary = self._replacing.__enter__()
        self._writer = pq.ParquetWriter(self._temporary, SCHEMA, compression="zstd")
        self._rows = 0
        return self

    def write(self, table: pa.Table) -> None:
        if table.num_rows:
            self._writer.write_table(table)
            self._rows += table.num_rows

    def __exit__(self, *exception: object) -> None:
        self._writer.close()
        self._replacing.__exit__(*exception)  # type: ignore[arg-type]
        if not self._rows and not self._keeps_empty:
            self._path.unlink(missing_ok=True)


def _examples(examples: Sequence[bytes], rows: Rows, first: int) -> list[bytes]:
    """Returns the rows that are left as serialized tf.Examples: those that were not changed are the bytes they were."""
    if rows.has_other_columns:
        return records.encode(rows.batch())
    left: list[bytes] = [examples[number - first] for number in rows.numbers.tolist()]
    changed: Numbers = np.flatnonzero(np.isin(rows.numbers, rows.changed()))
    if len(changed):
        encoded = records.encode(rows.batch().take(pa.array(changed)))
        for place, example in zip(changed.tolist(), encoded, strict=True):
            left[place] = example
    return left


def _count_present(present: Counter[tuple[str, str]], split: str, rows: Rows) -> None:
    for column in rows.columns:
        present[split, column] += rows.count - int(rows.without_value(column).sum())

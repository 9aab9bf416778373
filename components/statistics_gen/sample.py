"""A sample of a split's rows, each as likely as any other, for pictures of how columns are distributed.

It is drawn while the statistics are computed: each row gets a random number, and those with the least stay. So samples
of shards merge to that of the split, and the same files give the same sample on any number of workers.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROWS = 10_000
_WIDEST = 256  # bytes of a row on average; columns that ever were wider, such as images, are left out
_SEED = 1860


class Sample:
    """The rows with the least random numbers of those that were added, as a table of list columns."""

    def __init__(self, seed: int = 0):
        self._generator = np.random.default_rng([_SEED, seed])
        self._numbers: np.ndarray = np.empty(0)
        self._tables: list[pa.Table] = []
        self._bytes: Counter[str] = Counter()  # of each column's texts, and rows, in all batches
        self._rows: Counter[str] = Counter()
        self._left_out: set[str] = set()  # for good: a part of the rows would be a biased sample

    def passing(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yields the batches, and adds each."""
        for batch in batches:
            self._add(batch)
            yield batch

    def merge(self, other: "Sample") -> "Sample":
        """Adds the rows of another sample, and returns this one."""
        self._numbers = np.concatenate([self._numbers, other._numbers])
        self._tables += other._tables
        self._bytes += other._bytes
        self._rows += other._rows
        self._left_out |= other._left_out
        self._leave_out()
        self._keep()
        return self

    def table(self) -> pa.Table:
        """Returns the rows; columns that some of them lack are null there."""
        if not self._tables:
            return pa.table({})
        shown = [self._without_left_out(table) for table in self._tables]
        return pa.concat_tables(shown, promote_options="permissive")

    def _add(self, batch: pa.RecordBatch) -> None:
        numbers = self._generator.random(batch.num_rows)
        bound = self._numbers.max() if len(self._numbers) >= ROWS else np.inf
        chosen = np.flatnonzero(numbers < bound)
        if len(chosen) > ROWS:
            chosen = np.sort(chosen[np.argpartition(numbers[chosen], ROWS - 1)[:ROWS]])
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if _is_shown(column.type):
                self._bytes[name] += _text_bytes(column)
                self._rows[name] += len(column)
            else:
                self._left_out.add(name)
        self._leave_out()
        names = [name for name in batch.schema.names if name not in self._left_out]
        self._numbers = np.concatenate([self._numbers, numbers[chosen]])
        self._tables.append(pa.Table.from_batches([batch.select(names).take(pa.array(chosen))]))
        self._keep()

    def _leave_out(self) -> None:
        self._left_out |= {name for name, size in self._bytes.items() if size > _WIDEST * max(self._rows[name], 1)}

    def _without_left_out(self, table: pa.Table) -> pa.Table:
        return table.select([name for name in table.column_names if name not in self._left_out])

    def _keep(self) -> None:
        if len(self._numbers) > ROWS:
            least = np.sort(np.argpartition(self._numbers, ROWS - 1)[:ROWS])
            self._numbers = self._numbers[least]
            self._tables = [self.table().take(pa.array(least)).combine_chunks()]


def _is_shown(kind: pa.DataType) -> bool:
    """Whether a column holds lists of numbers or of strings, or nothing yet."""
    if pa.types.is_null(kind):
        return True
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    inner = kind.value_type
    return _is_text(inner) or pa.types.is_floating(inner) or pa.types.is_integer(inner) or pa.types.is_null(inner)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_string(kind))


def _text_bytes(column: pa.Array) -> int:
    """Returns how many bytes a column's strings have; those of numbers are none."""
    if pa.types.is_null(column.type) or not _is_text(column.type.value_type):
        return 0
    return pc.sum(pc.binary_length(column.flatten())).as_py() or 0

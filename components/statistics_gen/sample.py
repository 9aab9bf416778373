"""A sample of a split's rows, each as likely as any other, for pictures of how columns are distributed.

It is drawn while the statistics are computed: each row gets a random number, and those with the least stay. So samples
of shards merge to that of the split, and the same files give the same sample on any number of workers.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROWS = 10_000
_WIDEST = 256  # bytes of a row on average; wider columns, such as images, are left out
_SEED = 1860


class Sample:
    """The rows with the least random numbers of those that were added, as a table of list columns."""

    def __init__(self, seed: int = 0):
        self._generator = np.random.default_rng([_SEED, seed])
        self._numbers: np.ndarray = np.empty(0)
        self._tables: list[pa.Table] = []

    def passing(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yields the batches, and adds each."""
        for batch in batches:
            self._add(batch)
            yield batch

    def merge(self, other: "Sample") -> "Sample":
        """Adds the rows of another sample, and returns this one."""
        self._numbers = np.concatenate([self._numbers, other._numbers])
        self._tables += other._tables
        self._keep()
        return self

    def table(self) -> pa.Table:
        """Returns the rows; columns that some of them lack are null there."""
        if not self._tables:
            return pa.table({})
        return pa.concat_tables(self._tables, promote_options="permissive")

    def _add(self, batch: pa.RecordBatch) -> None:
        numbers = self._generator.random(batch.num_rows)
        bound = self._numbers.max() if len(self._numbers) >= ROWS else np.inf
        chosen = np.flatnonzero(numbers < bound)
        if len(chosen) > ROWS:
            chosen = np.sort(chosen[np.argpartition(numbers[chosen], ROWS - 1)[:ROWS]])
        names = [name for name, column in zip(batch.schema.names, batch.columns, strict=True) if _is_shown(column)]
        self._numbers = np.concatenate([self._numbers, numbers[chosen]])
        self._tables.append(pa.Table.from_batches([batch.select(names).take(pa.array(chosen))]))
        self._keep()

    def _keep(self) -> None:
        if len(self._numbers) > ROWS:
            least = np.sort(np.argpartition(self._numbers, ROWS - 1)[:ROWS])
            self._numbers = self._numbers[least]
            self._tables = [self.table().take(pa.array(least)).combine_chunks()]


def _is_shown(column: pa.Array) -> bool:
    """Whether a column holds lists of numbers or of short strings, or nothing yet."""
    kind = column.type
    if pa.types.is_null(kind):
        return True
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    inner = kind.value_type
    if pa.types.is_floating(inner) or pa.types.is_integer(inner) or pa.types.is_null(inner):
        return True
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner) or pa.types.is_string(inner)):
        return False
    lengths = pc.sum(pc.binary_length(column.flatten())).as_py() or 0
    return bool(lengths <= _WIDEST * max(len(column), 1))

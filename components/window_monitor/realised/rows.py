"""A window's rows with their labels, many at a time: a join costs as much for few rows as for many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.components.monitoring.labels import files
from penstock.components.monitoring.labels.source import REQUEST_ID, ROW
from penstock.components.monitoring.labels.table import LabelTable, Places
from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import Piece
from penstock.components.monitoring.windows.requests import Requests, WindowRows

_ROWS = 1 << 17


@dataclass(frozen=True)
class Chunk:
    """Rows of a file with the same outputs: their features as lists, and the place of each row's label, -1 without."""

    name: str
    features: pa.Table
    outputs: pa.Table
    places: Places


@dataclass
class _Waiting:
    """Rows that are not yet a chunk."""

    features: list[pa.RecordBatch] = field(default_factory=list)
    outputs: list[pa.RecordBatch] = field(default_factory=list)
    keys: list[pa.RecordBatch] = field(default_factory=list)
    rows: int = 0

    def fits(self, rows: WindowRows) -> bool:
        same = not self.outputs or self.outputs[0].schema.equals(rows.outputs.schema)
        return same and self.rows < _ROWS

    def chunk(self, name: str, labels: LabelTable) -> Chunk:
        keys = pa.Table.from_batches(self.keys).combine_chunks()
        return Chunk(
            name,
            pa.Table.from_batches(self.features).combine_chunks(),
            pa.Table.from_batches(self.outputs).combine_chunks(),
            labels.places(keys),
        )


def chunks(
    requests: Requests, piece: Piece, labels: LabelTable, features: Sequence[str], account: Account
) -> Iterator[Chunk]:
    """Yields the rows of a piece, with these features alone."""
    waiting = _Waiting()
    for rows in requests.read(piece, account):
        if not waiting.fits(rows):
            yield waiting.chunk(piece.name, labels)
            waiting = _Waiting()
        waiting.features.append(rows.features.select(list(features)))
        waiting.outputs.append(rows.outputs)
        waiting.keys.append(_keys(rows, labels.key))
        waiting.rows += rows.about.num_rows
    if waiting.rows:
        yield waiting.chunk(piece.name, labels)


def _keys(rows: WindowRows, key: Sequence[str]) -> pa.RecordBatch:
    """Returns the key's columns; a feature of the schema goes before what the log itself calls so."""
    arrays = []
    for name in key:
        if name in rows.features.schema.names:
            arrays.append(files.first_values(rows.features.column(name)))
        elif name == REQUEST_ID:
            arrays.append(rows.about.column("request_id").cast(pa.large_binary()))
        else:
            assert name == ROW
            arrays.append(rows.about.column("row").cast(pa.int64()))
    return pa.RecordBatch.from_arrays(arrays, list(key))


def regular(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Returns which rows have an output, with as many values as most rows."""
    if not _is_list(column.type):
        valid: npt.NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
        return valid
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    counts = np.bincount(lengths, minlength=1)
    counts[0] = 0  # most rows may have none
    return np.asarray((lengths == counts.argmax()) & (lengths > 0))


def array(column: pa.Array) -> np.ndarray:
    """Returns an output of regular rows, [rows, values]."""
    if _is_list(column.type):
        return array(column.flatten()).reshape(len(column), -1)
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values[:, None]


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))

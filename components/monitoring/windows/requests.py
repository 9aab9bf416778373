"""The requests of a window, as the features of the schema and what the model has answered.

    requests = Requests.open(folder, Selection("taxi"), window, Features.of(schema, label))
    for piece in requests.pieces:
        for rows in requests.read(piece, account):
            print(rows.features.num_rows, rows.outputs.schema.names)

Nothing in a log is an error: what cannot be read is left out and counted, with its reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.monitoring.windows import files, parquet
from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import Piece, Selection
from penstock.components.monitoring.windows.inputs import Features
from penstock.components.monitoring.windows.logged import LoggedRows
from penstock.components.monitoring.windows.window import Window
from penstock.core.artifacts import RequestLog

_OTHER_TIMES = "a row of a time that its file's name does not have: it counts by its own time"
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class WindowRows:
    """Rows of a window's requests.

    Args:
        features: The schema's features, lists of int64, float32 or binary; null where a row has none.
        outputs: The model's outputs by name: a value, or a list of values, for each row.
        about: Of each row: time, request_id, row (its number in the request) and sample.
        version: The version that has answered.
    """

    features: pa.RecordBatch
    outputs: pa.RecordBatch
    about: pa.RecordBatch
    version: int


@dataclass(frozen=True)
class Requests:
    """The requests of a window, in pieces that can be read apart. Picklable, and so are the pieces.

    `listed` says what was left out before a piece is read.
    """

    window: Window
    selection: Selection
    features: Features
    pieces: Sequence[Piece]
    listed: Account

    @classmethod
    def open(cls, folder: Path, selection: Selection, window: Window, features: Features) -> Self:
        """Looks which files of a request log there are.

        Raises a ConfigError if there is no such folder, model or version.
        """
        log, account = RequestLog(folder), Account()
        selection = selection.resolved(log)
        return cls(window, selection, features, files.pieces(log, selection, window, account), account)

    def read(self, piece: Piece, account: Account) -> Iterator[WindowRows]:
        """Yields the rows of a piece that are in the window; adds to the account what is, and what is left out."""
        for logged in _reader(piece, account):
            rows = self._within(logged, piece, account)
            count = rows.about.num_rows
            if not count:
                continue
            _count_requests(account, rows.about)  # also those of which nothing can be decoded
            decoded = self.features.decode(rows.inputs, count, account, piece.name)
            rows = rows.filter(decoded.kept)
            outputs = pa.RecordBatch.from_arrays(list(rows.outputs.values()), list(rows.outputs))
            account.rows += rows.about.num_rows
            account.versions[piece.version] += rows.about.num_rows
            yield WindowRows(decoded.features, outputs, rows.about, piece.version)

    def _within(self, rows: LoggedRows, piece: Piece, account: Account) -> LoggedRows:
        times = rows.about.column(0)
        inside = _between(times, self.window.begin, self.window.end)
        named = _between(times, piece.begin, piece.end + _TICK)
        account.odd.add("rows", _OTHER_TIMES, piece.name, int((inside & ~named).sum()))
        return rows.filter(inside)


def _between(times: pa.Array, begin: datetime, end: datetime) -> npt.NDArray[np.bool_]:
    first, after = (pa.scalar(moment, times.type) for moment in (begin, end))
    inside = pc.and_(pc.greater_equal(times, first), pc.less(times, after))
    result: npt.NDArray[np.bool_] = pc.fill_null(inside, False).to_numpy(zero_copy_only=False)
    return result


def _reader(piece: Piece, account: Account) -> Iterator[LoggedRows]:
    if piece.path.name.endswith(RequestLog.PARQUET):
        return parquet.read(piece, account)
    from penstock.components.monitoring.windows import tfrecord  # which needs TensorFlow

    return tfrecord.read(piece, account)


def _count_requests(account: Account, about: pa.RecordBatch) -> None:
    """Counts the first row of each request, which stands for others where only a sample is logged."""
    first = about.column("row").to_numpy() == 0
    shares = about.column("sample").to_numpy(zero_copy_only=False)[first]
    account.requests += int(first.sum())
    account.stands_for += float((1 / np.where((shares > 0) & (shares <= 1), shares, 1)).sum())

"""The requests of a window, as the features of the schema and what the model has answered.

    requests = Requests.open(folder, Selection("taxi"), window, Features.of(schema, label))
    for piece in requests.pieces:
        for rows in requests.read(piece, account):
            print(rows.features.num_rows, rows.outputs.schema.names)

Nothing in a log is an error: what cannot be read is left out and counted, with its reason.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.monitoring.windows import captured, collected, files, parquet
from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import Piece, Selection
from penstock.components.monitoring.windows.inputs import Features
from penstock.components.monitoring.windows.logged import LoggedRows
from penstock.components.monitoring.windows.payloads import decoding
from penstock.components.monitoring.windows.payloads.exchange import Exchange
from penstock.components.monitoring.windows.window import Window
from penstock.core.artifacts import CapturedData, RequestLog, open_log

_OTHER_TIMES = "a row of a time that its file's name does not have: it counts by its own time"
_VARIANTS = "a row that one of several variants has answered: --model ENDPOINT/VARIANT chooses one"
_TICK = timedelta(microseconds=1)
_MICROSECONDS = 1_000_000


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
        """Looks which files there are: of a request log, or of what SageMaker has captured.

        Raises a ConfigError if there is no such folder, model or version.
        """
        log, account = open_log(folder), Account()
        selection = selection.resolved(log)
        if isinstance(log, CapturedData):
            pieces = captured.pieces(log, selection, window, account)
        else:
            pieces = files.pieces(log, selection, window, account)
        return cls(window, selection, features, pieces, account)

    @functools.cached_property
    def is_mixed(self) -> bool:
        """Whether several variants of an endpoint have answered, which are different models."""
        return len({piece.variant for piece in self.pieces}) > 1

    def read(self, piece: Piece, account: Account) -> Iterator[WindowRows]:
        """Yields the rows of a piece that are in the window; adds to the account what is, and what is left out."""
        for logged in self._logged(piece, account):
            rows = self._within(logged, piece, account)
            count = rows.about.num_rows
            if not count:
                continue
            _count_requests(account, rows.about)  # also those of which nothing can be decoded
            decoded = self.features.decode(rows.inputs, count, account, piece.name)
            rows = rows.filter(decoded.kept)
            outputs = pa.RecordBatch.from_arrays(list(rows.outputs.values()), list(rows.outputs))
            account.rows += rows.about.num_rows
            if piece.version:
                account.versions[piece.version] += rows.about.num_rows
            if piece.variant and self.is_mixed:
                account.odd.add("rows", _VARIANTS, piece.variant, rows.about.num_rows)
            yield WindowRows(decoded.features, outputs, rows.about, piece.version)

    def _logged(self, piece: Piece, account: Account) -> Iterator[LoggedRows]:
        """Yields the rows of a piece; of bodies, which take time to decode, those of the window alone."""
        if piece.path.name.endswith(CapturedData.SUFFIX):
            return self._decoded(captured.read(piece, account), piece, account)
        if piece.path.name.endswith(RequestLog.BODIES):
            return self._decoded(collected.read(piece, account), piece, account)
        if piece.path.name.endswith(RequestLog.PARQUET):
            return parquet.read(piece, account)
        from penstock.components.monitoring.windows import tfrecord  # which needs TensorFlow

        return tfrecord.read(piece, account)

    def _decoded(self, exchanges: Iterator[Exchange], piece: Piece, account: Account) -> Iterator[LoggedRows]:
        begin, end = (round(moment.timestamp() * _MICROSECONDS) for moment in (self.window.begin, self.window.end))
        inside = (exchange for exchange in exchanges if begin <= exchange.time < end)
        return decoding.rows(inside, self.features.instances, account, piece.name)

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


def _count_requests(account: Account, about: pa.RecordBatch) -> None:
    """Counts the first row of each request, which stands for others where only a sample is logged."""
    first = about.column("row").to_numpy() == 0
    shares = about.column("sample").to_numpy(zero_copy_only=False)[first]
    account.requests += int(first.sum())
    account.stands_for += float((1 / np.where((shares > 0) & (shares <= 1), shares, 1)).sum())

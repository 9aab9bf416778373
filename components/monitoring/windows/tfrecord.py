"""Rows of a request log of PredictionLogs in TFRecord files: a record for each request, which may have many rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.components.monitoring.windows import columns
from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import NOT_WHOLE, Piece
from penstock.components.monitoring.windows.logged import ABOUT, BATCH_ROWS, INPUTS, OUTPUTS, LoggedRows
from penstock.core.errors import DataError
from penstock.core.examples import records
from penstock.core.models import prediction_logs
from penstock.core.models.prediction_logs import LoggedPrediction

_RECORDS = 256  # at a time: so many are lost, at most, with one whose content is damaged
_NO_PREDICTION = "a record that is no PredictionLog of a model server"
_MICROSECONDS = 1e6

type _Layout = tuple[tuple[str, str], ...]  # the names of tensors, and numpy's kinds of them


def read(piece: Piece, account: Account) -> Iterator[LoggedRows]:
    """Yields the rows of a file; counts records that are no predictions, and a file that is damaged or cut off."""
    waiting, layout = _Waiting(), None
    try:
        for batch in records.read(piece.path, _RECORDS):
            for record in batch:
                try:
                    prediction = prediction_logs.parse(record)
                except DataError as error:
                    account.left_out.add("rows", _NO_PREDICTION, f"{piece.name}: {error.message}")
                    continue
                tensors = _tensors(prediction)
                same = tuple((name, array.dtype.kind) for name, array in tensors.items())
                if waiting.count and (same != layout or waiting.count >= BATCH_ROWS):
                    yield waiting.rows()
                    waiting = _Waiting()
                layout = same
                waiting.add(prediction, tensors)
    except DataError as error:
        account.left_out.add("files", NOT_WHOLE, error.message)
    if waiting.count:
        yield waiting.rows()


def _tensors(prediction: LoggedPrediction) -> dict[str, np.ndarray]:
    inputs = {f"{INPUTS}{name}": array for name, array in sorted(prediction.inputs.items())}
    return inputs | {f"{OUTPUTS}{name}": array for name, array in sorted(prediction.outputs.items())}


@dataclass
class _Waiting:
    """Predictions whose tensors have the same names and types, not yet a batch."""

    count: int = 0
    _counts: list[int] = field(default_factory=list)  # the rows of each prediction
    _predictions: list[LoggedPrediction] = field(default_factory=list)
    _values: dict[str, list[np.ndarray]] = field(default_factory=dict)
    _sizes: dict[str, list[int]] = field(default_factory=dict)  # of a row of each prediction

    def add(self, prediction: LoggedPrediction, tensors: Mapping[str, np.ndarray]) -> None:
        sizes = {array.shape[0] if array.ndim else None for array in tensors.values()}
        rows = sizes.pop() if len(sizes) == 1 else None  # without rows in common all is one, as in Parquet
        rows = 1 if rows is None else rows
        self.count += rows
        self._counts.append(rows)
        self._predictions.append(prediction)
        for name, array in tensors.items():
            self._values.setdefault(name, []).append(array.reshape(-1))
            self._sizes.setdefault(name, []).append(array.size // rows if rows else 0)

    def rows(self) -> LoggedRows:
        counts: npt.NDArray[np.int64] = np.array(self._counts, np.int64)
        starts: npt.NDArray[np.int64] = np.repeat(np.cumsum(counts) - counts, counts)
        requests: npt.NDArray[np.int64] = np.repeat(np.arange(len(counts)), counts)
        times = [round(one.time * _MICROSECONDS) for one in self._predictions]
        about = [
            pa.array(np.array(times, np.int64)[requests]).cast(ABOUT.field("time").type),
            pa.array([one.request_id for one in self._predictions], pa.string()).take(pa.array(requests)),
            pa.array((np.arange(len(starts)) - starts).astype(np.int32)),
            pa.array(np.array([one.sample for one in self._predictions], float)[requests]),
        ]
        lists = {name: self._lists(name, counts) for name in self._values}
        return LoggedRows(
            pa.RecordBatch.from_arrays(about, schema=ABOUT),
            {name.removeprefix(INPUTS): column for name, column in lists.items() if name.startswith(INPUTS)},
            {name.removeprefix(OUTPUTS): column for name, column in lists.items() if name.startswith(OUTPUTS)},
        )

    def _lists(self, name: str, counts: npt.NDArray[np.int64]) -> pa.Array:
        sizes: npt.NDArray[np.int64] = np.repeat(np.array(self._sizes[name], np.int64), counts)
        joined = np.concatenate(self._values[name])
        if joined.dtype.kind in "OS":
            values = pa.array(joined.tolist(), pa.large_binary())
        elif joined.dtype.kind == "V":  # bfloat16, which Arrow does not know
            values = pa.array(joined.astype(np.float32))
        else:
            values = pa.array(joined)
        return values if (sizes == 1).all() else columns.of_counts(sizes, values)

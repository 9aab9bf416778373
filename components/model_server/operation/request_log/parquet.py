"""Predictions as a table in Parquet: a row for each row of the inputs. It needs pyarrow, which serving does not."""

import importlib.util
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from penstock.components.model_server.operation.request_log.segment import Segment
from penstock.core.artifacts import RequestLog
from penstock.core.errors import ConfigError
from penstock.core.models.prediction_logs import LoggedPrediction

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_ROWS = 8192  # of a row group, which waits in memory
_GROUP_BYTES = 8 << 20

type _Types = dict[str, tuple[np.dtype, int]]  # of a column, and how many dimensions each of its values has


def require_pyarrow() -> None:
    """Raises a ConfigError if pyarrow is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError(
            "request log: Parquet needs pyarrow, which is not installed here (nor is it in the serving image): choose "
            "the format tfrecord, or install pyarrow"
        )


class ParquetSegment(Segment):
    """A Parquet file. Predictions whose tensors have other names or types than the first one's need another file."""

    SUFFIX: ClassVar[str] = RequestLog.PARQUET

    def __init__(self, log: RequestLog, folder: Path, first: LoggedPrediction, number: int):
        import pyarrow as pa
        from pyarrow import parquet

        super().__init__(log, folder, first, number)
        self._types = _types(first)
        self._schema = pa.schema(
            [
                ("time", pa.timestamp("us", "UTC")),
                ("request_id", pa.string()),
                ("row", pa.int32()),
                ("model", pa.string()),
                ("version", pa.int64()),
                ("signature", pa.string()),
                ("protocol", pa.string()),
                ("seconds", pa.float64()),
                ("sample", pa.float64()),
                *((name, _arrow_type(dtype, dimensions)) for name, (dtype, dimensions) in self._types.items()),
            ]
        )
        self._file = self._temporary.open("wb")  # ours, so that it is closed whatever happens
        self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._waiting_bytes = 0

    @property
    def bytes(self) -> int:
        return self._file.tell() + self._waiting_bytes

    def fits(self, prediction: LoggedPrediction) -> bool:
        return _types(prediction) == self._types

    def _write(self, prediction: LoggedPrediction) -> None:
        self._rows += _rows(prediction)
        self._waiting_bytes += prediction.bytes
        if len(self._rows) >= _GROUP_ROWS or self._waiting_bytes >= _GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows, self._waiting_bytes = [], 0

    def _finish(self) -> None:
        try:
            if self._rows:
                self._write_group()
            self._writer.close()
        finally:
            self._file.close()


def _columns(prediction: LoggedPrediction) -> dict[str, np.ndarray]:
    inputs = {f"inputs.{name}": array for name, array in sorted(prediction.inputs.items())}
    return inputs | {f"outputs.{name}": array for name, array in sorted(prediction.outputs.items())}


def _count(arrays: Mapping[str, np.ndarray]) -> int | None:
    """Returns how many rows the tensors have in common; None if they have none, so that all is one row."""
    counts = {array.shape[0] if array.ndim else None for array in arrays.values()}
    return counts.pop() if len(counts) == 1 else None


def _types(prediction: LoggedPrediction) -> _Types:
    columns = _columns(prediction)
    fewer = 0 if _count(columns) is None else 1
    return {name: (array.dtype, array.ndim - fewer) for name, array in columns.items()}


def _arrow_type(dtype: np.dtype, dimensions: int) -> "pa.DataType":
    import pyarrow as pa

    if dtype.kind in "OS":
        kind = pa.binary()
    else:
        kind = pa.from_numpy_dtype(dtype) if dtype.kind != "V" else pa.float32()  # bfloat16, which Arrow does not know
    for _ in range(dimensions):
        kind = pa.list_(kind)
    return kind


def _rows(prediction: LoggedPrediction) -> list[dict[str, Any]]:
    columns = _columns(prediction)
    count = _count(columns)
    values = {name: [array.tolist()] if count is None else array.tolist() for name, array in columns.items()}
    common = {
        "time": datetime.fromtimestamp(prediction.time, UTC),
        "request_id": prediction.request_id,
        "model": prediction.model,
        "version": prediction.version,
        "signature": prediction.signature,
        "protocol": prediction.protocol,
        "seconds": prediction.seconds,
        "sample": prediction.sample,
    }
    return [
        common | {"row": index} | {name: column[index] for name, column in values.items()}
        for index in range(1 if count is None else count)
    ]

"""Request logs as the model server writes them: by its own writers, of requests that a test makes up."""

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.model_server.operation.request_log.parquet import ParquetSegment
from penstock.components.model_server.operation.request_log.tfrecord import TFRecordSegment
from penstock.core.artifacts import RequestLog
from penstock.core.examples import records
from penstock.core.models.prediction_logs import LoggedPrediction

NOON = datetime(2026, 10, 30, 12, tzinfo=UTC)
FORMATS = {"parquet": ParquetSegment, "tfrecord": TFRecordSegment}
TYPES = {
    "miles": schema_pb2.FLOAT,
    "hour": schema_pb2.INT,
    "company": schema_pb2.BYTES,
    "tips": schema_pb2.FLOAT,  # the label
}

type Row = Mapping[str, list[Any] | None]


def schema() -> schema_pb2.Schema:
    result = schema_pb2.Schema()
    for name, kind in TYPES.items():
        result.feature.add(name=name, type=kind)
    return result


def examples(rows: Iterable[Row]) -> np.ndarray:
    """Returns rows as serialized tf.Examples, as the server makes them: a feature without a value is absent."""
    listed = list(rows)
    names = sorted({name for row in listed for name in row})
    kinds = {bytes: pa.large_binary(), int: pa.int64(), float: pa.float32()}
    columns = []
    for name in names:
        values = [row.get(name) for row in listed]
        kind = next((kinds[type(cell[0])] for cell in values if cell), pa.large_binary())
        columns.append(pa.array(values, pa.large_list(kind)))
    return np.array(records.encode(pa.RecordBatch.from_arrays(columns, names), skip_nulls=True), object)


def prediction(inputs: Mapping[str, np.ndarray], after: float = 0.0, number: int = 0, **more: Any) -> LoggedPrediction:
    """Returns what is logged of a request that came so many seconds after noon; its outputs are scores."""
    rows = next(iter(inputs.values())).shape[0]
    fields = {"model": "taxi", "version": 3, "signature": "serving_default", "sample": 1.0} | more
    return LoggedPrediction(
        time=(NOON + timedelta(seconds=after)).timestamp(),
        request_id=f"id-{number}",
        protocol="rest",
        seconds=0.004,
        inputs=inputs,
        outputs={"scores": np.full((rows, 2), 0.5, np.float32)},
        **fields,
    )


@pytest.fixture
def write_log(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes a file of predictions into the request log `tmp_path / "log"`."""
    numbers = itertools.count()

    def write(form: str, predictions: Iterable[LoggedPrediction]) -> Path:
        log, listed = RequestLog(tmp_path / "log"), list(predictions)
        first = listed[0]
        folder = log.folder(first.model, first.version, first.signature)
        before = set(folder.rglob("*"))
        segment = FORMATS[form](log, folder, first, next(numbers))
        for one in listed:
            assert segment.fits(one)
            segment.append(one)
        segment.close()
        (written,) = (path for path in set(folder.rglob("*")) - before if path.is_file())
        os.utime(written, (segment.end, segment.end))  # when a server would have written it
        return written

    return write

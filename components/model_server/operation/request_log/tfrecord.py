"""Predictions as PredictionLog in gzip TFRecord files: what TensorFlow Serving's own tools read."""

from pathlib import Path
from typing import ClassVar

import tensorflow as tf

from penstock.components.model_server.operation.request_log.segment import Segment
from penstock.core.artifacts import RequestLog
from penstock.core.models.prediction_logs import LoggedPrediction, serialize

_LEVEL = 1  # of gzip: the server has better things to compute


class TFRecordSegment(Segment):
    SUFFIX: ClassVar[str] = RequestLog.TFRECORD

    def __init__(self, log: RequestLog, folder: Path, first: LoggedPrediction, number: int):
        super().__init__(log, folder, first, number)
        options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=_LEVEL)
        self._writer = tf.io.TFRecordWriter(str(self._temporary), options)
        self._bytes = 0

    @property
    def bytes(self) -> int:
        return self._bytes

    def _write(self, prediction: LoggedPrediction) -> None:
        record = serialize(prediction)
        self._writer.write(record)
        self._bytes += len(record)

    def _finish(self) -> None:
        self._writer.close()

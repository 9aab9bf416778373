"""The thread that writes the request log, and when a file ends: by its size, by its age, and with the server.

A disk that is full and a folder that is gone cost predictions, which are counted, and never an answer.
"""

import random
import tempfile
import time
from collections.abc import Callable, Sequence

from penstock.components.model_server.operation import settings
from penstock.components.model_server.operation.background import Background
from penstock.components.model_server.operation.calls import Call
from penstock.components.model_server.operation.request_log import parquet
from penstock.components.model_server.operation.request_log.segment import Segment
from penstock.components.model_server.operation.request_log.tfrecord import TFRecordSegment
from penstock.core.artifacts import RequestLog
from penstock.core.errors import ConfigError
from penstock.core.models.prediction_logs import LoggedPrediction

_MOST_ENTRIES = 20_000
_ENTRY_BYTES = 500  # beside its tensors, about
_PAUSE = 5.0  # seconds after a failure, in which predictions are dropped

type _Stream = tuple[str, int, str]  # a model, a version and a signature


class RequestLogWriter(Background[LoggedPrediction]):
    """Writes a sample of the predictions. A ConfigError if the folder cannot be written, or pyarrow is missing."""

    def __init__(self, log: settings.RequestLog, dropped: Callable[[int], None]):
        super().__init__("request log", dropped, _MOST_ENTRIES, log.queue_bytes)
        if log.format == "parquet":
            parquet.require_pyarrow()
        self._segment_type: type[Segment] = parquet.ParquetSegment if log.format == "parquet" else TFRecordSegment
        self._settings = log
        self._artifact = RequestLog(log.folder)
        self._open: dict[_Stream, Segment] = {}
        self._number = 0
        self._resumes = 0.0
        try:
            log.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=log.folder).close()
        except OSError as error:
            raise ConfigError(
                f"request log: {log.folder} cannot be written: {error.strerror}: name another folder"
            ) from None

    def answered(self, call: Call, seconds: float) -> None:
        """Adds a request that a model has answered, if it is in the sample."""
        sample = self._settings.sample
        if call.inputs is None or call.outputs is None or (sample < 1 and random.random() >= sample):
            return
        prediction = LoggedPrediction(
            time=call.time,
            request_id=call.request_id,
            model=call.model,
            version=call.version,
            signature=call.signature,
            protocol=call.protocol,
            seconds=seconds,
            sample=sample,
            inputs=call.inputs,
            outputs=call.outputs,
        )
        self.add(prediction, prediction.bytes + _ENTRY_BYTES)

    def take(self, entries: Sequence[LoggedPrediction]) -> None:
        for prediction in entries:
            stream = prediction.model, prediction.version, prediction.signature
            if time.monotonic() < self._resumes:
                self._dropped(1)
                continue
            try:
                segment = self._segment(stream, prediction)
                segment.append(prediction)
            except Exception as error:  # of the system, TensorFlow or pyarrow
                self._lose(stream, 1, error)
            else:
                if segment.bytes >= self._settings.rotate_bytes:
                    self._end(stream)

    def _segment(self, stream: _Stream, prediction: LoggedPrediction) -> Segment:
        """Returns the open file for a prediction; begins one if there is none, or none that it fits in."""
        segment = self._open.get(stream)
        if segment is not None and not segment.fits(prediction):
            self._end(stream)
            segment = None
        if segment is None:
            self._number += 1
            segment = self._segment_type(self._artifact, self._artifact.folder(*stream), prediction, self._number)
            self._open[stream] = segment
        return segment

    def _end(self, stream: _Stream) -> None:
        try:
            self._open[stream].close()
        except Exception as error:
            self._lose(stream, 0, error)
        else:
            del self._open[stream]

    def _lose(self, stream: _Stream, more: int, error: Exception) -> None:
        """Gives up the open file of a stream, and its predictions with it; the log rests for a while."""
        segment = self._open.pop(stream, None)
        lost = more + (segment.count if segment else 0)
        if segment:
            segment.abandon()
        self._dropped(lost)
        self._resumes = time.monotonic() + _PAUSE
        self.warn(f"{lost} predictions are lost: {self._settings.folder} cannot be written: {error}")

    def tick(self) -> None:
        oldest = time.monotonic() - self._settings.rotate_seconds
        for stream in [stream for stream, segment in self._open.items() if segment.opened <= oldest]:
            self._end(stream)

    def finish(self) -> None:
        for stream in list(self._open):
            self._end(stream)

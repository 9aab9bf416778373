"""PredictionLogs of predictions, one for each example, as TFX's BulkInferrer writes them.

A message for each row through protobuf's Python classes takes most of the time of an inference. But nearly all bytes of
a row's message are those of every row: the tags, the names, the types and shapes. What differs is the example and the
bytes of the outputs, which NumPy cuts into rows. The wire format: a field with a length is a tag, the length, the
content; the protos are TensorFlow Serving's prediction_log.proto and predict.proto, and TensorFlow's tensor.proto.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog, PredictLog

from penstock.core.examples.encoder import varint

_MOST_KNOWN = 4096  # pairs of lengths, of which the bytes around are kept
_KEY, _VALUE = 1, 2  # the fields of a map's entry
_LOG = PredictionLog.PREDICT_LOG_FIELD_NUMBER
_REQUEST, _RESPONSE = PredictLog.REQUEST_FIELD_NUMBER, PredictLog.RESPONSE_FIELD_NUMBER


class PredictLogs:
    """Writes the PredictionLogs of a signature."""

    def __init__(self, signature: str, input_name: str):
        spec = ModelSpec(signature_name=signature).SerializeToString()
        self._request_spec = _field(PredictRequest.MODEL_SPEC_FIELD_NUMBER, spec)
        self._response_spec = _field(PredictResponse.MODEL_SPEC_FIELD_NUMBER, spec)
        self._input_key = _field(_KEY, input_name.encode())
        tensor = TensorProto(dtype=tf.string.as_datatype_enum)
        tensor.tensor_shape.dim.add().size = 1
        self._input_tensor = tensor.SerializeToString()
        self._around: dict[tuple[int, int], tuple[bytes, bytes]] = {}

    def serialize(self, examples: Sequence[bytes], outputs: Mapping[str, np.ndarray]) -> list[bytes]:
        """Returns a serialized PredictionLog for each example; `outputs` have a row for each of them."""
        parts = [_entries(name, output) for name, output in outputs.items()]
        answers = map(b"".join, zip(*parts, strict=True)) if parts else iter([b""] * len(examples))
        logs = []
        for example, answer in zip(examples, answers, strict=True):
            sizes = len(example), len(answer)
            before, between = self._around.get(sizes) or self._bytes_around(*sizes)
            logs.append(before + example + between + answer)
        return logs

    def _bytes_around(self, example: int, answer: int) -> tuple[bytes, bytes]:
        """Returns the bytes before an example of this length, and those between it and an answer of this length."""
        string = _head(TensorProto.STRING_VAL_FIELD_NUMBER, example)
        tensor = self._input_tensor + string
        value = _head(_VALUE, len(tensor) + example) + tensor
        entry = _head(PredictRequest.INPUTS_FIELD_NUMBER, len(self._input_key) + len(value) + example)
        request = self._request_spec + entry + self._input_key + value
        request = _head(_REQUEST, len(request) + example) + request
        response = _head(_RESPONSE, len(self._response_spec) + answer) + self._response_spec
        log = _head(_LOG, len(request) + example + len(response) + answer)
        if len(self._around) == _MOST_KNOWN:
            self._around.clear()
        self._around[example, answer] = around = log + request, response
        return around


def _entries(name: str, output: np.ndarray) -> list[bytes]:
    """Returns the output of each row as an entry of the response's outputs, a tensor of one row."""
    rows, shape = output.shape[0], (1, *output.shape[1:])
    key = _field(_KEY, name.encode())
    if rows and output.dtype in (np.float32, np.float64) and output[0].size:
        contents = np.ascontiguousarray(output).reshape(rows, -1).view(f"V{output[0].nbytes}").ravel().tolist()
        example = tf.make_tensor_proto(output[0], shape=shape).SerializeToString()
        tensor = example[: len(example) - len(contents[0])]  # the values are the last of its fields
        value = _head(_VALUE, len(example)) + tensor
        entry = _head(PredictResponse.OUTPUTS_FIELD_NUMBER, len(key) + len(value) + len(contents[0])) + key + value
        return [entry + content for content in contents]
    known: dict[object, bytes] = {}  # of strings and integers few rows differ: classes
    entries = []
    for row in output.reshape(rows, math.prod(shape)):
        content = tuple(row.tolist()) if output.dtype == object else row.tobytes()
        entry = known.get(content, b"")
        if not entry:
            value = tf.make_tensor_proto(row, tf.as_dtype(output.dtype).as_datatype_enum, shape).SerializeToString()
            entry = known[content] = _field(PredictResponse.OUTPUTS_FIELD_NUMBER, key + _field(_VALUE, value))
        entries.append(entry)
    return entries


def _field(number: int, content: bytes) -> bytes:
    return _head(number, len(content)) + content


def _head(number: int, length: int) -> bytes:
    """Returns the tag of a field with a length, and the length."""
    return varint(number << 3 | 2) + varint(length)

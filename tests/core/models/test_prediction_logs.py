"""Predictions as PredictionLog: what TensorFlow's own code makes of them, and what comes back."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from penstock.core.errors import DataError
from penstock.core.models import prediction_logs
from penstock.core.models.prediction_logs import LoggedPrediction

PREDICTION = LoggedPrediction(
    time=1796073848.123456,
    request_id="id-1",
    model="taxi",
    version=3,
    signature="serving_default",
    protocol="rest",
    seconds=0.0042,
    sample=0.5,
    inputs={"examples": np.array([b"\xff\x00", b""], object), "whole": np.array([[1, 2], [3, -4]], np.int64)},
    outputs={"score": np.array([[0.5], [np.nan]], np.float32), "flag": np.array([True, False]), "one": np.array(7)},
)


def test_tensorflow_serving_reads_what_is_written() -> None:
    log = PredictionLog.FromString(prediction_logs.serialize(PREDICTION))
    for spec in (log.log_metadata.model_spec, log.predict_log.request.model_spec, log.predict_log.response.model_spec):
        assert (spec.name, spec.version.value, spec.signature_name) == ("taxi", 3, "serving_default")
    assert (log.log_metadata.timestamp_secs, log.log_metadata.sampling_config.sampling_rate) == (1796073848, 0.5)
    read = {name: tf.make_ndarray(tensor) for name, tensor in log.predict_log.request.inputs.items()}
    assert read["examples"].tolist() == [b"\xff\x00", b""]
    assert read["whole"].tolist() == [[1, 2], [3, -4]]
    expected = tf.make_tensor_proto(PREDICTION.outputs["flag"])
    assert tf.make_ndarray(expected).tolist() == tf.make_ndarray(log.predict_log.response.outputs["flag"]).tolist()


def test_everything_comes_back() -> None:
    read = prediction_logs.parse(prediction_logs.serialize(PREDICTION))
    for name in ("time", "request_id", "model", "version", "signature", "protocol", "seconds", "sample"):
        assert getattr(read, name) == getattr(PREDICTION, name)
    for tensors, expected in ((read.inputs, PREDICTION.inputs), (read.outputs, PREDICTION.outputs)):
        assert set(tensors) == set(expected)
        for name, array in expected.items():
            assert (tensors[name].dtype, tensors[name].shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(tensors[name], array)


def test_bytes_of_a_fixed_length_are_strings() -> None:
    logged = dataclasses.replace(PREDICTION, inputs={"text": np.array([b"a", b"bcd"])})
    assert prediction_logs.parse(prediction_logs.serialize(logged)).inputs["text"].tolist() == [b"a", b"bcd"]


@pytest.mark.parametrize("values", [[[0.5, 0.5]], [7, 7, 8], ["a", "a"], [True], np.zeros((0, 2), np.float32)])
def test_tensors_of_other_servers_come_back(values: object) -> None:
    log = PredictionLog.FromString(prediction_logs.serialize(PREDICTION))
    proto = tf.make_tensor_proto(values)
    log.predict_log.request.inputs["examples"].CopyFrom(proto)
    read, expected = prediction_logs.parse(log.SerializeToString()).inputs["examples"], tf.make_ndarray(proto)
    assert (read.dtype, read.shape, read.tolist()) == (expected.dtype, expected.shape, expected.tolist())


def test_a_file_with_other_records_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.tfrecord.gz"
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        writer.write(tf.train.Example().SerializeToString())
    with pytest.raises(DataError, match=r"log.tfrecord.gz: expected a PredictionLog of a model server, found"):
        list(prediction_logs.read(path))


@pytest.mark.parametrize("name", ["log.parquet", "cut.tfrecord.gz"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"PAR1, which is no gzip")
    with pytest.raises(DataError, match=f"{name}: expected a whole TFRecord file"):
        next(prediction_logs.read(file))

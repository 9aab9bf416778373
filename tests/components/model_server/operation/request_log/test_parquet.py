"""Predictions as a table: one row of it for each row of the inputs."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from penstock.components.model_server.operation import settings
from penstock.components.model_server.operation.request_log.writer import RequestLogWriter
from penstock.core.artifacts import RequestLog
from penstock.core.errors import ConfigError
from tests.components.model_server.operation.request_log.test_writer import NOON, call


def logged(tmp_path: Path, *tensors: tuple[dict[str, Any], dict[str, Any]]) -> list[Any]:
    """Returns the tables of the files that hold predictions with these inputs and outputs."""
    log = RequestLogWriter(settings.RequestLog(tmp_path, "parquet"), pytest.fail)
    log.start()
    for number, (inputs, outputs) in enumerate(tensors):
        answered = call(number)
        answered.inputs, answered.outputs = inputs, outputs
        log.answered(answered, 0.0042)
    log.close(20)
    return [pq.read_table(file.path) for file in RequestLog(tmp_path).files("taxi", 3, "serving_default")]


def test_each_row_of_the_inputs_is_one_of_the_table(tmp_path: Path) -> None:
    inputs = {"examples": np.array([b"\xff1", b"2"], object)}
    outputs = {"classes": np.array([[b"a", b"b"], [b"c", b"d"]], object), "score": np.array([0.5, 0.25], np.float32)}
    (table,) = logged(tmp_path, (inputs, outputs))
    first, second = table.to_pylist()
    assert first.pop("time").timestamp() == NOON
    assert first == {
        "request_id": "id-0",
        "row": 0,
        "model": "taxi",
        "version": 3,
        "signature": "serving_default",
        "protocol": "rest",
        "seconds": 0.0042,
        "sample": 1.0,
        "inputs.examples": b"\xff1",
        "outputs.classes": [b"a", b"b"],
        "outputs.score": 0.5,
    }
    assert (second["row"], second["inputs.examples"], second["outputs.score"]) == (1, b"2", 0.25)


def test_tensors_without_rows_in_common_are_one_row(tmp_path: Path) -> None:
    (table,) = logged(tmp_path, ({"x": np.array([1, 2], np.int64)}, {"sum": np.array(3, np.int64)}))
    (row,) = table.to_pylist()
    assert (row["inputs.x"], row["outputs.sum"]) == ([1, 2], 3)


def test_types_that_arrow_does_not_know_are_those_that_hold_their_values(tmp_path: Path) -> None:
    half = tf.constant([1.5, 2.0], tf.bfloat16).numpy()
    (table,) = logged(tmp_path, ({"text": np.array([b"a", b"bcd"])}, {"half": half}))
    assert table["inputs.text"].to_pylist() == [b"a", b"bcd"]
    assert table["outputs.half"].to_pylist() == [1.5, 2.0]


def test_tensors_of_other_types_are_in_a_file_of_their_own(tmp_path: Path) -> None:
    whole, real = np.array([1], np.int64), np.array([1.5], np.float32)
    tables = logged(tmp_path, ({"x": whole}, {"y": whole}), ({"x": whole}, {"y": real}), ({"x": whole}, {"y": real}))
    assert [table["outputs.y"].to_pylist() for table in tables] == [[1], [1.5, 1.5]]


def test_without_pyarrow_a_sentence_says_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"Parquet needs pyarrow, which is not installed here .*: choose the format"):
        RequestLogWriter(settings.RequestLog(tmp_path, "parquet"), pytest.fail)

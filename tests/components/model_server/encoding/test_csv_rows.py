"""CSV as rows of a signature's inputs, where these are tensors. http/test_sagemaker.py has features, and mistakes."""

from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from penstock.components.model_server.encoding import codec, csv_rows
from penstock.components.model_server.inference import RequestError, ServedSignature
from penstock.core.models.signatures import Tensor


def _signature(**inputs: Tensor) -> ServedSignature:
    return ServedSignature("serving_default", inputs, {}, {}, SignatureDef(), codec.codec(inputs, {}, (), False))


VECTOR = {"x": Tensor(tf.float32, (None, 3))}
MIXED = {"a": Tensor(tf.int64, (None,)), "b": Tensor(tf.string, (None, 1)), "c": Tensor(tf.bool, (None,))}


@pytest.mark.parametrize(
    ("inputs", "text", "expected"),
    [
        (VECTOR, b"1,2,3\n4.5,-1e3,0\n", [{"x": [1.0, 2.0, 3.0]}, {"x": [4.5, -1000.0, 0.0]}]),
        ({"x": Tensor(tf.float32, (None, None))}, b"1,2\n3\n", [{"x": [1.0, 2.0]}, {"x": [3.0]}]),
        (MIXED, b'1,"a, b",true\n2.0,,0\n', [{"a": 1, "b": ["a, b"], "c": True}, {"a": 2, "b": [""], "c": False}]),
        (MIXED, b"c,a,b\n1,2,z\n", [{"a": 2, "b": ["z"], "c": True}]),
    ],
)
def test_rows_of_tensors(inputs: Mapping[str, Tensor], text: bytes, expected: list[object]) -> None:
    assert csv_rows.rows(text, _signature(**inputs)) == expected


@pytest.mark.parametrize(
    ("inputs", "text", "problem"),
    [
        ({"x": Tensor(tf.float32, (None, 2, 2))}, b"1,2,3,4", "input 'x' has rows of several dimensions"),
        (VECTOR, b"1,2", r"line 1: expected 3 columns \(x\), received 2"),
        (MIXED, b"1,z,yes", "line 1, column 'c': expected bool, received 'yes'"),
        (MIXED, b"1.5,z,1", "line 1, column 'a': expected int64, received '1.5'"),
        (MIXED, b",z,1", "line 1, column 'a': expected int64, received ''"),
        (MIXED, b"1,z,1\n\n2", "line 3: expected 3 columns"),
    ],
)
def test_what_does_not_fit(inputs: Mapping[str, Tensor], text: bytes, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        csv_rows.rows(text, _signature(**inputs))


def test_answers() -> None:
    outputs = {
        "scores": np.array([[0.1, 0.9], [1, 0]], np.float32),
        "label": np.array([b'say "hi"', b"\xff"], object),
        "count": np.array([1, 2], np.int64),
    }
    assert csv_rows.text(outputs).decode() == '1,"say ""hi""",0.1,0.9\n2,\ufffd,1.0,0.0\n'
    with pytest.raises(RequestError, match="accept application/json"):
        csv_rows.text({"total": np.float32(1) * np.ones([])})

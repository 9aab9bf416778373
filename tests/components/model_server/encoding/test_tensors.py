"""JSON's values as the tensors of inputs: what fits, and the sentence for what does not."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from penstock.components.model_server.encoding import tensors
from penstock.components.model_server.inference import Kind, RequestError
from penstock.core.models.signatures import Tensor


@pytest.mark.parametrize(
    ("dtype", "shape", "values", "expected"),
    [
        (tf.float32, (None,), [1, 2.5], np.array([1, 2.5], np.float32)),
        (tf.float32, (None, 1), [1, 2.5], np.array([[1], [2.5]], np.float32)),
        (tf.float64, (None, 2), [[1, 2]], np.array([[1, 2]], np.float64)),
        (tf.float32, None, 3, np.array(3, np.float32)),
        (tf.float32, (None,), [], np.empty([0], np.float32)),
        (tf.float16, (None,), [float("nan"), float("inf")], np.array([np.nan, np.inf], np.float16)),
        (tf.int64, (None,), [1, -(2**63), 2**63 - 1], np.array([1, -(2**63), 2**63 - 1], np.int64)),
        (tf.int32, (None,), [3.0, 4], np.array([3, 4], np.int32)),
        (tf.uint8, (None,), [0, 255], np.array([0, 255], np.uint8)),
        (tf.uint64, (None,), [2**64 - 1], np.array([2**64 - 1], np.uint64)),
        (tf.bool, (None,), [True, False], np.array([True, False])),
        (tf.string, (None, 1), ["a", {"b64": "/w=="}], np.array([[b"a"], [b"\xff"]], object)),
        (tf.string, (None, None), [[], []], np.empty([2, 0], object)),
        (tf.string, (), "é", np.array("é".encode(), object)),
    ],
)
def test_values_that_fit(dtype: tf.DType, shape: Any, values: Any, expected: np.ndarray) -> None:
    array = tensors.array("x", Tensor(dtype, shape), values)
    assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(array, expected)


def test_bfloat16_is_a_number() -> None:
    array = tensors.array("x", Tensor(tf.bfloat16, (None,)), [1, 2.5])
    assert array.dtype == tf.bfloat16.as_numpy_dtype
    assert array.astype(np.float32).tolist() == [1, 2.5]


@pytest.mark.parametrize(
    ("dtype", "values", "sentence"),
    [
        (tf.float32, [1, "2"], "expected float32 values, received '2'"),
        (tf.float32, [True], "expected float32 values, received True"),
        (tf.float32, [1, None], "expected float32 values, received 'null'"),
        (tf.float32, {"y": 1}, "expected float32 values, received {'y': 1}"),
        (tf.float32, [[1], [1, 2]], "expected float32 values, received lists of different lengths"),
        (tf.float32, [1e39], "expected float32 values, received 1e+39: it is too large"),
        (tf.int64, [1.5], "expected int64 values, received 1.5"),
        (tf.int64, [float("nan")], "expected int64 values, received nan"),
        (tf.int64, [1e19], "expected int64 values, received 10000000000000000000: it is out of range"),
        (tf.int32, [2**31], "expected int32 values, received 2147483648: it is out of range"),
        (tf.uint8, [-1], "expected uint8 values, received -1: it is out of range"),
        (tf.bool, [1], "expected bool values, received 1"),
        (tf.string, [1], 'expected a text, or {"b64": …}, received 1'),
        (tf.string, ["a", ["b"]], "expected a text, or {\"b64\": …}, received ['b']"),
        (tf.string, [["a"], ["b", "c"]], "expected lists of the same lengths, received different ones"),
        (tf.string, [{"b64": "?"}], "expected base64, received '?'"),
    ],
)
def test_a_mistake_names_the_input(dtype: tf.DType, values: Any, sentence: str) -> None:
    with pytest.raises(RequestError) as raised:
        tensors.array("x", Tensor(dtype, (None,)), values)
    assert (raised.value.kind, raised.value.sentence) == (Kind.INVALID, f"input 'x': {sentence}")

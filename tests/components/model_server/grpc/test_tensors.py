"""TensorProtos and arrays, with TensorFlow's own functions as the oracle."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from penstock.components.model_server.grpc import tensors
from penstock.components.model_server.inference import Kind, RequestError

_TYPES = [
    tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16,
    tf.uint32, tf.uint64, tf.bool, tf.complex64,
]  # fmt: skip


@pytest.mark.parametrize("dtype", _TYPES, ids=lambda dtype: str(dtype.name))
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0, 3)], ids=str)
def test_numbers(dtype: tf.DType, shape: tuple[int, ...]) -> None:
    array = (np.arange(np.prod(shape, dtype=int)) % 2).reshape(shape).astype(dtype.as_numpy_dtype)
    for proto in (tf.make_tensor_proto(array), tensors.to_proto(array)):
        received = tensors.to_array("x", proto)
        assert received.dtype == array.dtype
        assert received.shape == shape
        np.testing.assert_array_equal(received, array)
    np.testing.assert_array_equal(tf.make_ndarray(tensors.to_proto(array)), array)


def test_strings() -> None:
    array = np.array([[b"a", b"\xff"], [b"", b"b"]], object)
    assert tensors.to_array("x", tf.make_tensor_proto(array)).tolist() == array.tolist()
    assert tf.make_ndarray(tensors.to_proto(array)).tolist() == array.tolist()


def test_answers_have_their_values_in_fields() -> None:
    """TensorFlow Serving's clients read them there."""
    assert list(tensors.to_proto(np.array([[0.5, 1.5]], np.float32)).float_val) == [0.5, 1.5]


def test_one_value_may_stand_for_all() -> None:
    proto = tf.make_tensor_proto(7, tf.int32, [2, 3])
    assert len(proto.int_val) == 1
    assert tensors.to_array("x", proto).tolist() == [[7, 7, 7], [7, 7, 7]]


def _of(size: int, **fields: object) -> TensorProto:
    proto = TensorProto(dtype=tf.float32.as_datatype_enum, **fields)
    proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: _of(2**40, float_val=[1.0]), "expected 1099511627776 values .* received 1 values"),
        (lambda: _of(2, float_val=[1.0, 2.0, 3.0]), r"expected 2 values for the shape \[2\], received 3 values"),
        (lambda: _of(2), "received 0 values"),
        (lambda: _of(-1, float_val=[1.0]), "every size is known"),
        (lambda: _of(2, tensor_content=b"1234567"), r"expected 8 bytes for float32 of shape \[2\], received 7 bytes"),
        (lambda: TensorProto(), "expected a tensor of numbers or strings"),
        (lambda: TensorProto(dtype=9999), "received the dtype 9999"),
        (lambda: TensorProto(dtype=tf.resource.as_datatype_enum), "expected a tensor of numbers or strings"),
        (lambda: TensorProto(dtype=tf.int8.as_datatype_enum, int_val=[300]), "too large"),
    ],
)
def test_what_is_no_tensor(make: Callable[[], TensorProto], problem: str) -> None:
    with pytest.raises(RequestError, match=f"^input 'x': .*{problem}") as raised:
        tensors.to_array("x", make())
    assert raised.value.kind is Kind.INVALID

"""TensorProtos to arrays and back."""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from penstock.components.model_server.encoding import objects
from penstock.components.model_server.inference import Kind, RequestError
from penstock.core.text import printable

_MOST_REPEATED = 2**24  # elements that one value of a TensorProto may stand for
_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int8: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.int64: "int64_val",
    tf.uint8: "int_val",
    tf.uint16: "int_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
}


def to_array(name: str, proto: TensorProto) -> np.ndarray:
    """Returns the array of a request's input; strings are bytes in an array of objects.

    Raises a RequestError (INVALID) if the message is no tensor.
    """
    dtype = _dtype(name, proto)
    sizes = _sizes(name, proto)
    count = math.prod(sizes)
    if proto.tensor_content and dtype != tf.string:
        wanted = np.dtype(dtype.as_numpy_dtype)
        if len(proto.tensor_content) != count * wanted.itemsize:
            raise _invalid(
                name,
                f"expected {count * wanted.itemsize} bytes for {dtype.name} of shape {list(sizes)}, "
                f"received {len(proto.tensor_content)} bytes",
            )
        content: np.ndarray = np.frombuffer(proto.tensor_content, wanted).reshape(sizes)
        return content
    values = getattr(proto, _FIELDS[dtype]) if dtype in _FIELDS else None
    if values is not None and len(values) == count:
        if dtype == tf.string:
            return objects.array(list(values), sizes)
        try:
            array: np.ndarray = np.array(list(values), dtype.as_numpy_dtype).reshape(sizes)
        except OverflowError:
            raise _invalid(name, f"expected values of {dtype.name}, received one that is too large for it") from None
        return array
    return _repeated(name, proto, dtype, count, 0 if values is None else len(values))


def to_proto(array: np.ndarray) -> TensorProto:
    """Returns the TensorProto of an output, with the values in the field of their type.

    That is what TensorFlow Serving answers, and what its clients read: `outputs["scores"].float_val`.
    """
    dtype = tf.string if array.dtype == object else tf.as_dtype(array.dtype)
    field = _FIELDS.get(dtype)
    if field is None:
        return tf.make_tensor_proto(array)
    proto = TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, field).extend(array.ravel().tolist())
    return proto


def _repeated(name: str, proto: TensorProto, dtype: tf.DType, count: int, received: int) -> np.ndarray:
    """Returns a tensor whose last value stands for all that follow, or one of a rare type."""
    if received > count or (dtype in _FIELDS and not received) or count > _MOST_REPEATED:
        sizes = list(_sizes(name, proto))
        raise _invalid(name, f"expected {count} values for the shape {sizes}, received {received} values")
    try:
        array: np.ndarray = tf.make_ndarray(proto)
    except (TypeError, ValueError, OverflowError) as error:
        raise _invalid(name, f"expected a tensor: {error}") from None
    return array


def _dtype(name: str, proto: TensorProto) -> tf.DType:
    try:
        dtype = tf.as_dtype(proto.dtype)
        np.dtype(object if dtype == tf.string else dtype.as_numpy_dtype)
    except (TypeError, KeyError):
        raise _invalid(name, f"expected a tensor of numbers or strings, received the dtype {proto.dtype}") from None
    if dtype in (tf.resource, tf.variant):
        raise _invalid(name, f"expected a tensor of numbers or strings, received {dtype.name}")
    return dtype


def _sizes(name: str, proto: TensorProto) -> tuple[int, ...]:
    sizes = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        raise _invalid(name, "expected a shape in which every size is known")
    if len(sizes) > 32:
        raise _invalid(name, f"expected at most 32 dimensions, received {len(sizes)}")
    return sizes


def _invalid(name: str, sentence: str) -> RequestError:
    return RequestError(Kind.INVALID, f"input {printable.value(name)}: {sentence}")

"""The protocol's datatypes and the arrays that hold them."""

from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

BYTES = "BYTES"
_DTYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    BYTES: np.dtype(object),  # each element is of the type bytes
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
NAMES = tuple(_DTYPES)


def dtype(datatype: str) -> np.dtype | None:
    """Returns the dtype of arrays that hold a datatype; None if there is no such datatype."""
    return _DTYPES.get(datatype)


def name(dtype: np.dtype) -> str | None:
    """Returns the datatype of an array's elements; None if the protocol has none, as for complex numbers."""
    return _NAMES.get(dtype)


def of_tensor(dtype: "tf.DType") -> str:
    """Returns the datatype of a TensorFlow type; TensorFlow's own name where the protocol has none."""
    return _NAMES.get(np.dtype(dtype.as_numpy_dtype), str(dtype.name).upper())

"""A request that a signature answers, made from what it takes: what the pages of a model show."""

import math
from typing import Any

import tensorflow as tf

from penstock.components.model_server.inference import DEFAULT_SIGNATURE, ServedFeature, ServedSignature
from penstock.core.models.signatures import Tensor
from penstock.core.suggestions import listed

_UNKNOWN_SIZE = 1


def request(signature: ServedSignature) -> dict[str, Any]:
    """Returns the body of a request for one prediction, in rows."""
    named = {} if signature.name == DEFAULT_SIGNATURE else {"signature_name": signature.name}
    return {**named, "instances": [_row(signature)]}


def is_one(feature: ServedFeature) -> bool:
    """Whether a feature has one value in each row; so may also one that is there in some rows only."""
    return feature.shape is None or math.prod(feature.shape) == 1


def usual(feature: ServedFeature) -> str:
    """Says which values of a feature the training data had, as far as the schema knows them; "" if it does not."""
    if feature.values:
        return f"in the training data one of: {listed(feature.values)}"
    if feature.minimum is not None and feature.maximum is not None:
        return f"in the training data from {feature.minimum:g} to {feature.maximum:g}"
    return ""


def _row(signature: ServedSignature) -> object:
    if signature.features:
        return {feature.name: _feature(feature) for feature in signature.features.values()}
    values = {name: _nested(_value(tensor.dtype), _sizes(tensor)) for name, tensor in signature.inputs.items()}
    return next(iter(values.values())) if len(values) == 1 else values


def _feature(feature: ServedFeature) -> object:
    if feature.values:
        value: object = feature.values[0]
    elif feature.minimum is not None and feature.maximum is not None:
        middle = (feature.minimum + feature.maximum) / 2
        value = math.floor(middle) if feature.dtype == tf.int64 else middle
    else:
        value = _value(feature.dtype)
    return value if is_one(feature) else _nested(value, feature.shape or ())


def _value(dtype: tf.DType) -> object:
    if dtype == tf.string:
        return "text"
    if dtype == tf.bool:
        return True
    return 1 if dtype.is_integer else 1.0


def _sizes(tensor: Tensor) -> tuple[int, ...]:
    sizes = tensor.shape[1:] if tensor.shape is not None else ()
    return tuple(_UNKNOWN_SIZE if size is None else size for size in sizes)


def _nested(value: object, sizes: tuple[int, ...]) -> object:
    for size in reversed(sizes):
        value = [value] * size
    return value

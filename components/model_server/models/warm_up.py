"""Asks a model that was just loaded, so that the first request of a person is not the one that waits.

With requests that the model brings along, as TensorFlow Serving's format has them (assets.extra/), else with one
made up for each signature.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from penstock.components.model_server.encoding import wire
from penstock.components.model_server.inference import DEFAULT_SIGNATURE, ServedFeature, ServedSignature
from penstock.components.model_server.models.loading import LoadedModel
from penstock.core.artifacts import SavedModel
from penstock.core.errors import ModelError
from penstock.core.models.failures import cause

_ONLY = ""  # stands for the name of an only input
_MOST_REQUESTS = 1000  # TensorFlow Serving's limit
logger = logging.getLogger(__name__)


def warm_up(model: LoadedModel, folder: Path) -> int:
    """Asks a model, and returns how many requests that were.

    Raises a ModelError if the model fails on its own requests. That it fails on one made up is only logged.
    """
    path = SavedModel(folder).warm_up_requests
    if path.is_file():
        return _replay(model, path)
    for name, signature in model.signatures.items():
        try:
            model.calls[name]([_made_up(tensor, signature) for tensor in signature.inputs])
        except (tf.errors.OpError, ValueError) as error:
            reason = cause(error) if isinstance(error, tf.errors.OpError) else str(error)
            logger.warning("signature %r failed on a made-up request, so its first is slow: %s", name, reason)
    return len(model.signatures)


def _replay(model: LoadedModel, path: Path) -> int:
    count = 0
    try:
        for record in tf.data.TFRecordDataset(str(path)).take(_MOST_REQUESTS).as_numpy_iterator():
            for name, inputs in _requests(PredictionLog.FromString(record)):
                _ask(model, name, inputs)
                count += 1
    except (tf.errors.OpError, DecodeError, ValueError) as error:
        reason = cause(error) if isinstance(error, tf.errors.OpError) else str(error)
        raise ModelError(f"{path}: warm-up request {count + 1} failed: {reason}") from None
    return count


def _requests(log: PredictionLog) -> Iterator[tuple[str, Mapping[str, np.ndarray]]]:
    """Yields the requests of a record: a signature, and its inputs; tf.Examples are the only one, whatever its name."""
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        yield request.model_spec.signature_name or DEFAULT_SIGNATURE, inputs
    elif kind in ("classify_log", "regress_log"):
        request = getattr(log, kind).request
        examples = [example.SerializeToString() for example in request.input.example_list.examples]
        yield request.model_spec.signature_name or DEFAULT_SIGNATURE, {_ONLY: np.array(examples, dtype=object)}


def _ask(model: LoadedModel, name: str, inputs: Mapping[str, np.ndarray]) -> None:
    """Asks a signature; a ValueError if the model has none of this name, or with other inputs."""
    signature = model.signatures.get(name)
    if signature and [*inputs] == [_ONLY]:
        inputs = dict.fromkeys(signature.inputs, inputs[_ONLY])
    if signature is None or inputs.keys() != signature.inputs.keys():
        expected = ", ".join(f"{name}({', '.join(known.inputs)})" for name, known in model.signatures.items())
        raise ValueError(f"it asks {name!r} with {', '.join(inputs) or 'nothing'}: expected one of {expected}")
    model.calls[name]([inputs[tensor] for tensor in signature.inputs])


def _made_up(name: str, signature: ServedSignature) -> np.ndarray:
    """Returns an input of one row: zeros, empty texts, or a tf.Example of such values."""
    tensor = signature.inputs[name]
    shape = tuple(1 if size is None else size for size in tensor.shape or ())
    if tensor.dtype != tf.string:
        zeros: np.ndarray = np.zeros(shape, tensor.dtype.as_numpy_dtype)
        return zeros
    example = wire.example([_entry(feature) for feature in signature.features.values()])
    texts: np.ndarray = np.empty(shape, dtype=object)
    texts.fill(example if signature.features else b"")  # np.full takes the zeros at the end away
    return texts


def _entry(feature: ServedFeature) -> bytes:
    count = int(np.prod(feature.shape)) if feature.shape is not None else 1
    if feature.dtype == tf.string:
        return wire.bytes_entry(feature.name)([(feature.values[0] if feature.values else "").encode()] * count)
    if feature.dtype == tf.int64:
        return wire.int64_entry(feature.name)([int(feature.minimum or 0)] * count)
    return wire.float_entry(feature.name)([feature.minimum or 0.0] * count)

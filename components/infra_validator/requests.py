"""The requests that a model server gets: examples of a split, without the label, for each signature."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from penstock.components.infra_validator.settings import Requests
from penstock.core.artifacts import Examples, SavedModel
from penstock.core.errors import DataError, ModelError
from penstock.core.examples import records
from penstock.core.files import atomic
from penstock.core.models import signatures
from penstock.core.models.loaded import SIGNATURE
from penstock.core.models.signatures import Signature, Tensor
from penstock.core.suggestions import did_you_mean


@dataclass(frozen=True)
class Request:
    """One row for one signature. `inputs` are arrays of one row; strings are bytes. Rows are counted from 1."""

    signature: str
    row: int
    inputs: Mapping[str, np.ndarray]


class NotAskable(Exception):
    """A signature takes what examples do not have, so the model can only be loaded: a sentence says what."""


def build(model: Path, examples: Examples, settings: Requests, label: str) -> list[Request]:
    """Returns the requests for a SavedModel, those of a signature together.

    A signature with one input of strings gets serialized examples; any other gets the features that its inputs name.
    Raises a ModelError if the model lacks a signature that is asked for by its name, a DataError if there are no
    examples, and NotAskable if nothing says which signature is meant, or examples do not fit it.
    """
    of_model = signatures.read(model)
    chosen = {name: _signature(of_model, name) for name in settings.signatures}
    if not chosen:
        if SIGNATURE not in of_model:
            existing = ", ".join(sorted(of_model)) or "none"
            raise NotAskable(f"the model has no signature {SIGNATURE}, only {existing}: it was loaded, and not asked")
        chosen = {SIGNATURE: of_model[SIGNATURE]}
    rows = _read(examples, settings)
    return [
        Request(name, number, _inputs(name, signature, row, label))
        for name, signature in chosen.items()
        for number, row in enumerate(rows, 1)
    ]


def write_warm_up(model: SavedModel, model_name: str, requests: Sequence[Request]) -> None:
    """Writes the requests into a model as TensorFlow Serving reads them: a TFRecord of PredictionLogs."""
    with atomic.replacing(model.warm_up_requests) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog()
            asked = log.predict_log.request
            asked.model_spec.name, asked.model_spec.signature_name = model_name, request.signature
            for name, value in request.inputs.items():
                asked.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString(deterministic=True))


def _signature(of_model: Mapping[str, Signature], name: str) -> Signature:
    if name not in of_model:
        raise ModelError(f"request_spec: the model has no signature {name!r}; {did_you_mean(name, of_model)}")
    return of_model[name]


def _read(examples: Examples, settings: Requests) -> list[bytes]:
    splits = examples.splits()
    split = settings.split or next(iter(splits), "")
    every = itertools.chain.from_iterable(_records(examples, split, settings.number))
    rows = list(itertools.islice(every, settings.number))
    if not rows:
        raise DataError(f"split {split or '(none)'} has no examples to ask a model server about")
    return rows


def _records(examples: Examples, split: str, number: int) -> Iterator[list[bytes]]:
    for path in examples.files(split):
        yield from records.read(path, batch_size=number)


def _inputs(name: str, signature: Signature, row: bytes, label: str) -> dict[str, np.ndarray]:
    # On the wire a tf.Example is a tf.SequenceExample without feature_lists.
    example = tf.train.SequenceExample.FromString(row)
    parsed = signature.features.get(label)
    if label and not (parsed and parsed.required):
        example.context.feature.pop(label, None)
    if _takes_examples(signature):
        (only,) = signature.inputs
        return {only: np.array([example.SerializeToString(deterministic=True)], dtype=object)}
    features = example.context.feature
    return {key: _value(name, key, tensor, features) for key, tensor in sorted(signature.inputs.items())}


def _takes_examples(signature: Signature) -> bool:
    """Whether a signature has one input, of a string for each row: TFX takes it for one of serialized examples."""
    types = [(tensor.dtype, tensor.shape) for tensor in signature.inputs.values()]
    return types in ([(tf.string, (None,))], [(tf.string, None)])


def _value(signature: str, name: str, tensor: Tensor, features: Mapping[str, tf.train.Feature]) -> np.ndarray:
    """Returns the one row of an input that is called as a feature."""
    if name not in features:
        raise NotAskable(
            f"signature {signature} takes the input {name!r}, which is no feature of the examples: the model was "
            "loaded, and not asked"
        )
    feature = features[name]
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    is_text = tensor.dtype == tf.string
    if is_text != (kind == "bytes_list") or not tensor.shape:
        raise NotAskable(
            f"signature {signature} takes {tensor.dtype.name} as the input {name!r}, of which the examples have "
            f"{kind or 'nothing'}: the model was loaded, and not asked"
        )
    array: np.ndarray = np.array(values, dtype=object if is_text else tensor.dtype.as_numpy_dtype)
    sizes = [-1 if size is None else size for size in tensor.shape[1:]]
    try:
        return array.reshape((1, *sizes))
    except ValueError:
        raise NotAskable(
            f"signature {signature} takes {sizes} values as the input {name!r}, of which an example has {len(values)}: "
            "the model was loaded, and not asked"
        ) from None

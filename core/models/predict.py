"""Asks a SavedModel for predictions through its serving signature, as a model server does."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from penstock.core.artifacts import Model, SavedModel
from penstock.core.errors import DataError, ModelError
from penstock.core.examples import records

SIGNATURE = "serving_default"


def predict(model_dir: Path, serialized_examples: Sequence[bytes]) -> dict[str, np.ndarray]:
    """Calls the model's `serving_default` on serialized tf.Examples.

    Returns the signature's outputs by their names; the first dimension of each is the examples', in their order.
    Raises a ModelError if the folder holds no SavedModel, the model has no such signature, the signature does not
    take a batch of serialized tf.Examples, or it fails on these.
    """
    folder = saved_model_folder(model_dir)
    loaded = tf.saved_model.load(str(folder))  # keeps the variables alive while the signature is called
    signature = loaded.signatures.get(SIGNATURE)
    if signature is None:
        found = ", ".join(sorted(loaded.signatures)) or "none"
        raise ModelError(f"the model at {folder} has no signature {SIGNATURE!r}: it has {found}")
    inputs = signature.structured_input_signature[1]
    if [spec.dtype for spec in inputs.values()] != [tf.string]:
        received = ", ".join(f"{name}: {spec.dtype.name}" for name, spec in sorted(inputs.items())) or "none"
        raise ModelError(
            f"{SIGNATURE} of the model at {folder}: expected one input, serialized tf.Examples, received {received}"
        )
    examples = tf.constant(list(serialized_examples), tf.string, shape=[len(serialized_examples)])
    try:
        outputs = signature(**dict.fromkeys(inputs, examples))
    except tf.errors.OpError as error:
        raise ModelError(f"{SIGNATURE} of the model at {folder} failed: {_cause(error)}") from None
    count = len(serialized_examples)
    for name, tensor in outputs.items():
        if tensor.shape.rank == 0 or tensor.shape[0] != count:
            raise ModelError(
                f"{SIGNATURE} of the model at {folder}: expected an output {name!r} with a value for each of the "
                f"{count} examples, received the shape {tuple(tensor.shape)}"
            )
    return {name: tensor.numpy() for name, tensor in sorted(outputs.items())}


def predict_rows(model: Path, examples_file: Path, rows: int, label: str = "") -> list[dict[str, Any]]:
    """Predicts the first `rows` tf.Examples of a TFRecord file, without their label, as they come when it is served.

    Returns for each row {"features": {name: value}, "prediction": {output: value}, "label": value}: plain Python, a
    list where there are several values, None where there is none. Raises a DataError if the file holds no example.
    """
    examples = list(itertools.islice(_examples(examples_file), rows))
    if not examples:
        raise DataError(f"{examples_file} holds no example to predict")
    actual = [_feature(example.features.feature[label]) if label else None for example in examples]
    for example in examples:
        example.features.feature.pop(label, None)
    outputs = predict(model, [example.SerializeToString(deterministic=True) for example in examples])
    return [
        {
            "features": {name: _feature(value) for name, value in sorted(example.features.feature.items())},
            "prediction": {name: _plain(values[index]) for name, values in outputs.items()},
            "label": actual[index],
        }
        for index, example in enumerate(examples)
    ]


def saved_model_folder(path: Path) -> Path:
    """Returns a SavedModel's folder: `path`, the serving model of a Model there, or the highest version below it."""
    versions = [folder for folder in path.glob("*") if folder.name.isdecimal()]
    highest = sorted(versions, key=lambda folder: int(folder.name), reverse=True)
    for folder in (path, Model(path).serving, *highest):
        if SavedModel(folder).exists:
            return folder
    raise ModelError(f"no SavedModel at {path}: expected {SavedModel.FILE}, there or in a folder named by a version")


def _cause(error: tf.errors.OpError) -> str:
    """TensorFlow's message without the lines about its graph."""
    graph = ("Graph execution error", "Detected at node", "<stack traces", "[[")
    lines = (line.strip() for line in error.message.splitlines())
    return " ".join(line for line in lines if line and not line.startswith(graph))


def _examples(path: Path) -> Iterator[tf.train.Example]:
    if not path.is_file():
        raise DataError(f"examples file {path} does not exist")
    for batch in records.read(path, batch_size=64):
        try:
            yield from map(tf.train.Example.FromString, batch)
        except DecodeError as error:
            raise DataError(f"{path}: expected serialized tf.Examples: {error}") from None


def _feature(feature: Any) -> Any:
    kind = feature.WhichOneof("kind")
    return _plain(np.array(getattr(feature, kind).value if kind else [], dtype=object))


def _plain(value: Any) -> Any:
    """An array as Python values: a single value alone, text decoded, nested lists for more."""
    array = np.asarray(value)
    if array.size == 0:
        return None
    if array.size == 1:
        item = array.reshape(-1)[0]
        item = item.item() if isinstance(item, np.generic) else item
        return item.decode(errors="replace") if isinstance(item, bytes) else item
    return [_plain(item) for item in array]

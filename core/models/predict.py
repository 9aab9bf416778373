"""Predictions of a SavedModel through its serving signature, as a model server makes them."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from penstock.core.artifacts import SavedModel
from penstock.core.errors import DataError, ModelError
from penstock.core.examples import records
from penstock.core.models import loaded

type Value = bool | int | float | str | list[Value] | None


class Row(TypedDict):
    """An example's features, what the model predicts for it, and its label, in plain Python values.

    A feature or output with several values is a list, one without a value is None.
    """

    features: dict[str, Value]
    prediction: dict[str, Value]
    label: Value


def predict(model_dir: Path, serialized_examples: Sequence[bytes]) -> dict[str, np.ndarray]:
    """Calls the model's `serving_default` on serialized tf.Examples, which are cleaned as the model's data was.

    Returns the outputs of the signature by name, in arrays of shape [examples, …].

    Raises a ModelError if there is no SavedModel in the folder, or no such signature in the model. The same if the
    signature does not take a batch of serialized tf.Examples, or fails on these.
    """
    (signature,) = loaded.load(saved_model_folder(model_dir), cleans=True)
    return signature.predict(serialized_examples)


def predict_rows(model: Path, examples_file: Path, rows: int, label: str = "") -> list[Row]:
    """Predicts the first `rows` tf.Examples or tf.SequenceExamples of a TFRecord file.

    The model does not see the feature `label`, as in serving. Raises a DataError if the file has no example, and what
    `predict` raises.
    """
    examples = list(itertools.islice(_examples(examples_file), rows))
    if not examples:
        raise DataError(f"{examples_file} holds no example to predict")
    actual = [_feature(example.context.feature[label]) if label else None for example in examples]
    for example in examples:
        example.context.feature.pop(label, None)
    outputs = predict(model, [example.SerializeToString(deterministic=True) for example in examples])
    return [
        {
            "features": _features(example),
            "prediction": {name: _plain(values[index]) for name, values in outputs.items()},
            "label": actual[index],
        }
        for index, example in enumerate(examples)
    ]


def saved_model_folder(path: Path) -> Path:
    """Returns the first of these that is a SavedModel: `path`, its `Format-Serving`, its highest numbered folder.

    Raises a ModelError if there is none.
    """
    model = SavedModel.within(path)
    if model:
        return model.root
    there = f" (there is {SavedModel(path).listed()})" if any(path.rglob("*")) else ""
    raise ModelError(
        f"no SavedModel at {path}{there}: expected {SavedModel.FILE}, there or in a folder named by a version"
    )


def _examples(path: Path) -> Iterator[tf.train.SequenceExample]:
    """Yields the records; on the wire a tf.Example is a tf.SequenceExample without feature_lists."""
    if not path.is_file():
        raise DataError(f"examples file {path} does not exist")
    for batch in records.read(path, batch_size=64):
        try:
            yield from map(tf.train.SequenceExample.FromString, batch)
        except DecodeError as error:
            raise DataError(f"{path}: expected serialized tf.Examples: {error}") from None


def _features(example: tf.train.SequenceExample) -> dict[str, Value]:
    """Returns the features by name, then the feature lists, each a list of features."""
    context, lists = (
        sorted(fields.items()) for fields in (example.context.feature, example.feature_lists.feature_list)
    )
    sequences: dict[str, Value] = {name: [_feature(step) for step in steps.feature] for name, steps in lists}
    return {name: _feature(feature) for name, feature in context} | sequences


def _feature(feature: tf.train.Feature) -> Value:
    kind = feature.WhichOneof("kind")
    return _plain(np.array(getattr(feature, kind).value if kind else [], dtype=object))


def _plain(value: np.ndarray) -> Value:
    """Returns an array as Python values: one value by itself, several as nested lists; bytes are decoded."""
    array = np.asarray(value)
    if array.size == 0:
        return None
    if array.size == 1:
        item = array.reshape(-1)[0]
        item = item.item() if isinstance(item, np.generic) else item
        return item.decode(errors="replace") if isinstance(item, bytes) else item  # type: ignore[no-any-return]
    return [_plain(item) for item in array]

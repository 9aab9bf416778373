"""A signature of a SavedModel that takes serialized tf.Examples, loaded once for many batches."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from penstock.core.artifacts import SavedModel
from penstock.core.errors import DataError, ModelError
from penstock.core.models import cleaned
from penstock.core.models.failures import cause, emptied, reason
from penstock.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from penstock.core.cleaning.serving import Cleaner

SIGNATURE = SavedModel.SIGNATURE


class ExamplesSignature:
    """A signature with one input, a batch of serialized tf.Examples, and outputs with a value for each of them."""

    def __init__(self, folder: Path, name: str, model: tf.Module, cleaner: "Cleaner | None" = None):
        signature = model.signatures.get(name)
        if signature is None:
            raise ModelError(
                f"the model at {folder} has no signature {name!r}: "
                + did_you_mean(name, sorted(model.signatures), "it has")
            )
        inputs: Mapping[str, tf.TensorSpec] = signature.structured_input_signature[1]
        if [spec.dtype for spec in inputs.values()] != [tf.string]:
            received = ", ".join(f"{name}: {spec.dtype.name}" for name, spec in sorted(inputs.items())) or "none"
            raise ModelError(
                f"{name} of the model at {folder}: expected one input, serialized tf.Examples, received {received}"
            )
        (self.input,) = inputs
        self._where = f"{name} of the model at {folder}"
        self._signature = signature
        self._cleaner = cleaner
        self._model = model  # keeps the variables alive while the signature is called

    def predict(self, serialized_examples: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Returns the outputs by name, sorted, in arrays of shape [examples, …].

        Raises a ModelError if the signature fails on these examples, or has an output without a value for each; a
        DataError if it fails as cleaning has taken a value for missing that it needs.
        """
        count = len(serialized_examples)
        rows = list(serialized_examples) if self._cleaner is None else self._cleaner.clean(serialized_examples)
        examples = tf.constant(rows, tf.string, shape=[count])
        try:
            outputs = self._signature(**{self.input: examples})
        except tf.errors.OpError as error:
            said = cause(error)
            if self._cleaner and (why := emptied(said, serialized_examples, rows)):
                raise DataError(why) from None
            raise ModelError(f"{self._where} failed: {said}") from None
        for name, tensor in outputs.items():
            if not isinstance(tensor, tf.Tensor) or tensor.shape.rank == 0 or tensor.shape[0] != count:
                received = f"the shape {tuple(tensor.shape)}" if isinstance(tensor, tf.Tensor) else "a sparse one"
                raise ModelError(
                    f"{self._where}: expected an output {name!r} with a value for each of the {count} examples, "
                    f"received {received}"
                )
        return {name: tensor.numpy() for name, tensor in sorted(outputs.items())}


def load(
    folder: Path, names: Sequence[str] = (SIGNATURE,), tags: Sequence[str] = (), cleans: bool = False
) -> list[ExamplesSignature]:
    """Loads a SavedModel, of several graphs the one with these tags; returns its signatures of these names.

    With `cleans`, examples go through the rules of cleaning that the model was trained with: for rows as they come,
    not for the examples of a pipeline, which are clean.

    Raises a ModelError if the model cannot be loaded, has no such signature, or one that takes anything but serialized
    tf.Examples.
    """
    try:
        model = tf.saved_model.load(str(folder), tags=list(tags) or None)
    except Exception as error:  # of whatever kind: the files and the operations in them are the model's
        raise ModelError(f"the model at {folder} cannot be loaded: {reason(error)}") from None
    cleaner = cleaned.cleaner(folder) if cleans else None
    return [ExamplesSignature(folder, name, model, cleaner) for name in names]

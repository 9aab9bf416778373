"""Why an evaluation failed. TFMA says that a signature could not be called, but not of which model and why."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator import models
from penstock.components.evaluator.eval_config import CANDIDATE_SIGNATURE
from penstock.core.artifacts import SavedModel
from penstock.core.errors import ModelError, PenstockError
from penstock.core.examples import records

# Errors that say themselves why: of the user's doing, or of the machine's.
EXPLAINED = (PenstockError, OSError, MemoryError, tf.errors.ResourceExhaustedError)

_BATCH = 1024  # examples
# Places in the graph and names of examples, which mean nothing to the user.
_NOISE = re.compile(r"\{\{.*?\}\}\s*|\s*\[\[.*|\s*\[Op:.*|Name: <unknown>, ", re.DOTALL)


def failed_signature(config: EvalConfig, folders: Mapping[str, str], files: Sequence[Path]) -> ModelError | None:
    """Calls each model's signatures on all examples; returns the first failure as an error, None without one.

    `folders` holds the model of each model_spec by its name.
    """
    saved = {spec.is_baseline: SavedModel(Path(folders[spec.name])) for spec in config.model_specs}
    if len({model.exists for model in saved.values()}) > 1:  # what loads the one does not load the other
        return ModelError(
            f"the baseline model at {saved[True].root} is of another kind ({saved[True].listed()}) than the model "
            f"({saved[False].listed()}){models.WITHOUT_BASELINE}"
        )
    if not saved[False].exists:
        return None  # what a module loads has no signatures
    for model in models.read(config, folders):
        try:
            loaded = tf.saved_model.load(model.folder)  # keeps the variables alive while its signatures are called
        except tf.errors.ResourceExhaustedError:
            raise
        except (tf.errors.OpError, ValueError) as error:
            return ModelError(f"{model.title} cannot be loaded: {_words(error)}{model.advice}")
        names = (*model.spec.preprocessing_function_names, model.spec.signature_name or CANDIDATE_SIGNATURE)
        for name in filter(loaded.signatures.__contains__, names):  # a module may load a model of another kind
            reason = _failure(loaded.signatures[name], files)
            if reason:
                sentence = f"{model.title} cannot take these examples: signature {name!r}: {reason}"
                return ModelError(sentence + model.advice)
    return None


def _failure(signature: tf.types.experimental.ConcreteFunction, files: Sequence[Path]) -> str | None:
    """Returns why a signature of serialized examples fails, and the first record on which it does."""
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1 or next(iter(inputs.values())).dtype != tf.string:
        return None
    (argument,) = inputs
    for path in files:
        number = 1
        for batch in records.read(path, batch_size=_BATCH):
            if _refusal(signature, argument, batch):
                reasons = (
                    (place, _refusal(signature, argument, [example])) for place, example in enumerate(batch, number)
                )
                place, reason = next(((place, reason) for place, reason in reasons if reason), (0, ""))
                if reason:
                    return reason if place == 1 else f"{reason} (record {place} of {path})"
            number += len(batch)
    return None


def _refusal(signature: tf.types.experimental.ConcreteFunction, argument: str, examples: Sequence[bytes]) -> str:
    """Returns what is wrong with the outputs for these examples, in TensorFlow's words; "" if nothing is."""
    try:
        outputs = signature(**{argument: tf.constant(examples, tf.string)})
    except tf.errors.OpError as error:
        return _words(error)
    for name, output in outputs.items():
        if output.shape.rank == 0 or output.shape[0] != len(examples):
            return f"output {name!r}: expected a value for each example, received the shape {tuple(output.shape)}"
    return ""


def _words(error: Exception) -> str:
    """Returns the last line of what an error says, or its name where it says nothing."""
    message = error.message if isinstance(error, tf.errors.OpError) else str(error)
    lines = _NOISE.sub("", message or "").strip().splitlines()
    return lines[-1].rstrip(".") if lines else type(error).__name__

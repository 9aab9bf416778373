"""Why an evaluation failed. TFMA says that a signature could not be called, but not of which model and why."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.eval_config import CANDIDATE_SIGNATURE
from penstock.core.errors import ModelError
from penstock.core.examples import records

# Places in the graph and names of examples, which mean nothing to the user.
_NOISE = re.compile(r"\{\{.*?\}\}\s*|\s*\[\[.*|\s*\[Op:.*|Name: <unknown>, ", re.DOTALL)


def failed_signature(config: EvalConfig, folders: Mapping[str, str], files: Sequence[Path]) -> ModelError | None:
    """Calls each model's signatures on the first example; returns the first failure as an error, None without one.

    `folders` holds the SavedModel of each model_spec by its name.
    """
    example = next(batch[0] for path in files for batch in records.read(path, batch_size=1))
    for spec in config.model_specs:
        signatures = tf.saved_model.load(folders[spec.name]).signatures
        names = (*spec.preprocessing_function_names, spec.signature_name or CANDIDATE_SIGNATURE)
        for name in filter(signatures.__contains__, names):  # a module may load a model of another kind
            reason = _failure(signatures[name], example)
            if reason:
                model = f"the baseline model at {folders[spec.name]}" if spec.is_baseline else "the model"
                advice = "; for a different kind of data set another pipeline_root, where no model is blessed yet"
                sentence = f"{model} cannot take these examples: signature {name!r}: {reason}"
                return ModelError(sentence + (advice if spec.is_baseline else ""))
    return None


def _failure(signature: tf.types.experimental.ConcreteFunction, example: bytes) -> str | None:
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1 or next(iter(inputs.values())).dtype != tf.string:
        return None
    try:
        signature(**{next(iter(inputs)): tf.constant([example])})
    except tf.errors.OpError as error:
        return _NOISE.sub("", error.message).strip().splitlines()[-1].rstrip(".")
    return None

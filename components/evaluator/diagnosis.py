"""Why an evaluation failed: TFMA says that a signature could not be called, and hides in which model and why."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from penstock.components.evaluator.eval_config import CANDIDATE_SIGNATURE
from penstock.core.errors import ModelError
from penstock.core.examples import records

# Where in the graph, and an example's name: nothing that a person knows.
_NOISE = re.compile(r"\{\{.*?\}\}\s*|\s*\[\[.*|\s*\[Op:.*|Name: <unknown>, ", re.DOTALL)


def failed_signature(config: Any, folders: Mapping[str, str], files: Sequence[Path]) -> ModelError | None:
    """Asks each model about the first example; returns what the first one that fails says, None if none does."""
    example = next(found[0] for path in files for found in records.read(path, batch_size=1))
    for spec in config.model_specs:
        signatures = tf.saved_model.load(folders[spec.name]).signatures
        names = (*spec.preprocessing_function_names, spec.signature_name or CANDIDATE_SIGNATURE)
        for name in filter(signatures.__contains__, names):  # a module may load a model of another kind
            reason = _failure(signatures[name], example)
            if reason:
                model = f"the baseline model at {folders[spec.name]}" if spec.is_baseline else "the model"
                advice = "; for data of another kind set another pipeline_root, where no model is blessed yet"
                sentence = f"{model} cannot take these examples: signature {name!r}: {reason}"
                return ModelError(sentence + (advice if spec.is_baseline else ""))
    return None


def _failure(signature: Any, example: bytes) -> str | None:
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1 or next(iter(inputs.values())).dtype != tf.string:
        return None
    try:
        signature(**{next(iter(inputs)): tf.constant([example])})
    except tf.errors.OpError as error:
        return _NOISE.sub("", error.message).strip().splitlines()[-1].rstrip(".")
    return None

"""Labels that are text in the examples: what a module maps to numbers under the same name is evaluated as numbers.

Predictions are compared with the label as the examples have it, unless the EvalConfig names signatures of the model
that transform it. A label of text fits no prediction but one that comes with its classes.
"""

import logging
from collections.abc import Sequence

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.models import EvaluatedModel
from penstock.core.errors import ModelError
from penstock.core.suggestions import nearest

logger = logging.getLogger(__name__)
# Metrics that compare no label with a prediction.
_WITHOUT_LABEL = {"ExampleCount", "WeightedExampleCount", "MeanPrediction"}
# The outputs with the classes, by which TFMA finds the index of a label: those of an estimator, or of a classifier.
_CLASSES = ({"all_classes"}, {tf.saved_model.CLASSIFY_OUTPUT_SCORES, tf.saved_model.CLASSIFY_OUTPUT_CLASSES})


def transformed(models: Sequence[EvaluatedModel], config: EvalConfig, schema: schema_pb2.Schema | None) -> list[str]:
    """Has each model_spec apply the signature that makes numbers of its label, and returns the labels made so.

    It may make other features of the same name as the examples' too: only these labels are to be taken from it. Raises
    a ModelError for a label of text of which no signature makes numbers.
    """
    if schema is None or not _compares_labels(config):
        return []
    text = {feature.name for feature in schema.feature if feature.type == schema_pb2.BYTES}
    made = []
    for model in models:
        spec = model.spec
        names = [spec.label_key, *spec.label_keys.values()] if not _knows_classes(model) else []
        for label in (name for name in names if name and name in text and name not in model.produced):
            signature = _signature(model, label)
            if signature is None or spec.preprocessing_function_names:
                raise ModelError(_refusal(model, label, signature))
            logger.info("label %s is text: it is evaluated as signature %s transforms it", label, signature)
            spec.preprocessing_function_names.append(signature)
            made.append(label)
    return made


def _compares_labels(config: EvalConfig) -> bool:
    return any(metric.class_name not in _WITHOUT_LABEL for spec in config.metrics_specs for metric in spec.metrics)


def _knows_classes(model: EvaluatedModel) -> bool:
    """Whether the predictions are text themselves, or come with the classes of their numbers."""
    names = set(model.predicting.outputs)
    known = any(needed <= names for needed in _CLASSES)
    return known or any(output.dtype == tf.string for output in model.predictions.values())


def _signature(model: EvaluatedModel, label: str) -> str | None:
    """Returns the signature of tf.Examples that makes numbers of a label, None if the model has none."""
    for name, signature in sorted(model.signatures.items()):
        output = signature.outputs.get(label)
        if output is not None and output.dtype != tf.string and label in signature.features:
            return name
    return None


def _refusal(model: EvaluatedModel, label: str, signature: str | None) -> str:
    start = f"eval_config: label_key: feature {label!r} holds text, and the predictions of {model.title} are numbers: "
    if signature is not None:
        return f"{start}expected signature {signature!r} in preprocessing_function_names, which makes numbers of it"
    transformed = {name: found for found, made in model.signatures.items() for name in made.outputs if made.features}
    near = nearest(label, transformed, cutoff=0.5)
    hint = f"; did you mean {near!r} of signature {transformed[near]!r}?" if near else ""
    return (
        f"{start}expected a label of numbers, or a signature such as transform_features that makes numbers of it"
        f"{hint}{model.advice}"
    )

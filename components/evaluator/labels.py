"""The label that predictions are compared with: as the examples have it, or as a signature of the model makes it.

Where the EvalConfig names none, it is decided here. A label that it does name is compared as the examples have it,
unless the config also names signatures that transform it, or it is text: that fits no prediction but one that comes
with its classes, so what a module maps to numbers under the same name is evaluated as numbers.
"""

import logging
from collections.abc import Sequence

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.defaults import metrics
from penstock.components.evaluator.models import EvaluatedModel
from penstock.core.errors import ModelError
from penstock.core.suggestions import nearest

logger = logging.getLogger(__name__)
# Metrics that compare no label with a prediction.
_WITHOUT_LABEL = {"ExampleCount", "WeightedExampleCount", "MeanPrediction"}
_TRANSFORMED = "transform_features"  # the signature that a model without code has for its label
_SUFFIX = "_xf"  # in TFX's modules, of the names of transformed features
_SERVING = "SERVING"  # the schema's environment of what a model is asked about
# The outputs with the classes, by which TFMA finds the index of a label: those of an estimator, or of a classifier.
_CLASSES = ({"all_classes"}, {tf.saved_model.CLASSIFY_OUTPUT_SCORES, tf.saved_model.CLASSIFY_OUTPUT_CLASSES})


def decide(models: Sequence[EvaluatedModel], schema: schema_pb2.Schema | None, label: str) -> list[str]:
    """Names a label in each model_spec that has none; returns it if a signature makes it under the name it has.

    `label` is the feature to predict; "" takes the one that the schema says is not served. A signature's features of
    other names stand beside the examples'; of those with the same name, only the label is to be taken from it. The
    candidate decides for both models: agreement.py makes sure that they predict the same.
    """
    silent = [model.spec for model in models if not model.spec.label_key and not model.spec.label_keys]
    candidate = next((model for model in models if not model.spec.is_baseline), None)
    if not silent or candidate is None:
        return []
    label = label or (candidate.label.name if candidate.label else _not_served(schema))
    signature, key = _made(candidate, label)
    for spec in silent:
        spec.label_key = key
        if signature and signature not in spec.preprocessing_function_names:
            spec.preprocessing_function_names.append(signature)
    if signature and not candidate.label:
        logger.info("the label is evaluated as signature %s makes it: %s", signature, key)
    return [key] if signature and key == label else []


def _made(model: EvaluatedModel, label: str) -> tuple[str, str]:
    """Returns the signature that makes the label and the name that it gives it; "" and the label if there is none."""
    if model.label is not None and model.label.name == label:
        return _TRANSFORMED, model.label.output
    if label and not _knows_classes(model):
        applied = model.spec.preprocessing_function_names
        for output in (label, label + _SUFFIX):
            signature = _signature(model, label, output)
            if signature and (not applied or signature in applied):
                return signature, output
    return "", label


def _not_served(schema: schema_pb2.Schema | None) -> str:
    """Returns the only feature that the schema says a model is not asked with; "" if there is none or several."""
    features = schema.feature if schema is not None else ()
    absent = [feature.name for feature in features if _SERVING in feature.not_in_environment]
    return absent[0] if len(absent) == 1 else ""


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
            signature = _signature(model, label, label)
            if not signature or spec.preprocessing_function_names:
                raise ModelError(_refusal(model, label, signature))
            logger.info("label %s is text: it is evaluated as signature %s transforms it", label, signature)
            spec.preprocessing_function_names.append(signature)
            made.append(label)
    return made


def _compares_labels(config: EvalConfig) -> bool:
    named = (metric.class_name for spec in config.metrics_specs for metric in spec.metrics)
    return metrics.are_left_out(config) or any(name not in _WITHOUT_LABEL for name in named)


def _knows_classes(model: EvaluatedModel) -> bool:
    """Whether the predictions are text themselves, or come with the classes of their numbers."""
    names = set(model.predicting.outputs)
    known = any(needed <= names for needed in _CLASSES)
    return known or any(output.dtype == tf.string for output in model.predictions.values())


def _signature(model: EvaluatedModel, label: str, output: str) -> str:
    """Returns the signature of tf.Examples that makes numbers of a label, under the name `output`; "" if none does."""
    for name, signature in sorted(model.signatures.items()):
        made = signature.outputs.get(output)
        if made is not None and made.dtype != tf.string and label in signature.features:
            return name
    return ""


def _refusal(model: EvaluatedModel, label: str, signature: str) -> str:
    start = f"eval_config: label_key: feature {label!r} holds text, and the predictions of {model.title} are numbers: "
    if signature:
        return f"{start}expected signature {signature!r} in preprocessing_function_names, which makes numbers of it"
    transformed = {name: found for found, made in model.signatures.items() for name in made.outputs if made.features}
    near = nearest(label, transformed, cutoff=0.5)
    hint = f"; did you mean {near!r} of signature {transformed[near]!r}?" if near else ""
    return (
        f"{start}expected a label of numbers, or a signature such as transform_features that makes numbers of it"
        f"{hint}{model.advice}"
    )

"""The default model as a SavedModel: what it learnt of raw columns and the network, in one graph that needs no code.

serving_default       serialized tf.Examples without the label -> predictions
                      binary: probabilities [batch, 1], of the greater class
                      multiclass: scores [batch, classes], and classes [batch, classes], the label's values as text
                      regression: predictions [batch, 1]
transform_features    serialized tf.Examples -> everything that Transform makes of them, the label too; this is
                      what the Evaluator takes labels from
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from penstock.trainer import model as network
from penstock.trainer.features import Plan

type Outputs = dict[str, tf.Tensor]


def export(
    model: keras.Model,
    plan: Plan,
    head: network.Head,
    transform_graph: str,
    folder: Path,
) -> None:
    """Writes the SavedModel to `folder`; `transform_graph` is the folder of what Transform learnt.

    Columns that the plan ignores are not asked of a request; those that every row of the training data has are.
    """
    transform_output = tft.TFTransformOutput(transform_graph)
    module = tf.Module()
    module.model, module.transform = model, transform_output.transform_features_layer()  # variables and vocabularies
    spec = transform_output.raw_feature_spec()
    features = {name: spec[name] for name in dict.fromkeys(feature.name for feature in plan.features)}
    named = _named(plan, head)
    inputs = [tensor.name for tensor in model.inputs]

    def serving_default(examples: tf.Tensor) -> Outputs:
        transformed = module.transform(tf.io.parse_example(examples, features))
        return named(network.predictions(model({name: transformed[name] for name in inputs}, training=False), head))

    def transform_features(examples: tf.Tensor) -> Outputs:
        labelled = features | {plan.label.name: spec[plan.label.name]}
        outputs = dict(module.transform(tf.io.parse_example(examples, labelled)))
        label = tf.cast(outputs[plan.label.output], tf.float32)
        if plan.label.problem == "multiclass":  # an index cannot be NaN, by which the Evaluator knows a missing label
            label = tf.where(label < 0, tf.fill(tf.shape(label), float("nan")), label)
        return outputs | {plan.label.output: label}

    examples = [tf.TensorSpec([None], tf.string, name="examples")]
    signatures = {
        function.__name__: tf.function(function, input_signature=examples)
        for function in (serving_default, transform_features)
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)


def _named(plan: Plan, head: network.Head) -> Callable[[tf.Tensor], Outputs]:
    """Returns what makes the signature's outputs of predictions."""
    if head.problem == "regression":
        return lambda predictions: {"predictions": predictions}
    if head.problem == "binary":
        return lambda predictions: {"probabilities": predictions}
    classes = _texts(plan.label.classes)
    return lambda scores: {"scores": scores, "classes": tf.tile(tf.constant([classes]), [tf.shape(scores)[0], 1])}


def _texts(classes: Sequence[Any]) -> list[str]:
    return [str(value) for value in classes]

"""The default model as a SavedModel: what it learnt of raw columns and the network, in one graph that needs no code.

serving_default       serialized tf.Examples without the label -> predictions
                      binary: probabilities [batch, 1], of the greater class
                      multiclass: scores [batch, classes], and classes [batch, classes], the label's values as text
                      regression: predictions [batch, 1]
transform_features    serialized tf.Examples -> everything that Transform makes of them, the label too; this is
                      what the Evaluator takes labels from

assets.extra/label.json says what the label is and which its classes are, in the order of their probabilities.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from penstock.core.labels import Label
from penstock.trainer.network import losses
from penstock.trainer.network import model as _  # noqa: F401  (a saved model is loaded here: this makes its layers known)

type Outputs = dict[str, tf.Tensor]


def export(
    model: keras.Model,
    *,
    columns: Sequence[str],
    label: Mapping[str, Any],
    head: Mapping[str, Any],
    transform_graph: str,
    folder: str,
) -> None:
    """Writes the SavedModel to `folder`, from a process on TensorFlow: arguments are JSON, to reach one.

    columns: raw columns that are asked of a request; those that every row of the training data has must be there.
    label, head: the fields of labels.Label and of losses.Head.
    """
    transform_output = tft.TFTransformOutput(transform_graph)
    target = Label(**{**label, "classes": tuple(label["classes"])})
    described = losses.Head(**{**head, "frequencies": tuple(head["frequencies"])})
    module = tf.Module()
    module.model, module.transform = model, transform_output.transform_features_layer()  # variables and vocabularies
    spec = transform_output.raw_feature_spec()
    asked = {name: spec[name] for name in columns}
    named = _named(target)
    inputs = [tensor.name for tensor in model.inputs]

    def serving_default(examples: tf.Tensor) -> Outputs:
        transformed = module.transform(tf.io.parse_example(examples, asked))
        raw_outputs = model({name: transformed[name] for name in inputs}, training=False)
        return named(losses.predictions(raw_outputs, described))

    def transform_features(examples: tf.Tensor) -> Outputs:
        outputs = dict(module.transform(tf.io.parse_example(examples, asked | {target.name: spec[target.name]})))
        values = tf.cast(outputs[target.output], tf.float32)
        if target.problem == "multiclass":  # an index cannot be NaN, by which the Evaluator knows a missing label
            values = tf.where(values < 0, tf.fill(tf.shape(values), float("nan")), values)
        return outputs | {target.output: values}

    examples = [tf.TensorSpec([None], tf.string, name="examples")]
    signatures = {
        function.__name__: tf.function(function, input_signature=examples)
        for function in (serving_default, transform_features)
    }
    target.write(Path(folder))
    tf.saved_model.save(module, folder, signatures=signatures)


def _named(label: Label) -> Callable[[tf.Tensor], Outputs]:
    """Returns what makes the signature's outputs of predictions."""
    if label.problem == "regression":
        return lambda predictions: {"predictions": predictions}
    if label.problem == "binary":
        return lambda predictions: {"probabilities": predictions}
    classes = [str(value) for value in label.classes]
    return lambda scores: {"scores": scores, "classes": tf.tile(tf.constant([classes]), [tf.shape(scores)[0], 1])}

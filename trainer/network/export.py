"""Exports the default model as a SavedModel: Transform's graph and the network in one graph, which needs no Python.

serving_default       serialized tf.Examples without the label -> predictions
                      binary: probabilities [batch, 1], of the greater class
                      multiclass: scores [batch, classes], and classes [batch, classes], the label's values as text
                      regression: predictions [batch, 1]
transform_features    serialized tf.Examples -> all transformed features and the label; the Evaluator takes its labels
                      from here

assets.extra/label.json describes the label, with its classes in the order of their probabilities, dates.json how dates
are written.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from penstock.core.labels import Label
from penstock.trainer.network import losses
from penstock.trainer.network import model as _  # noqa: F401  (registers the layers of the model that is loaded here)
from penstock.trainer.plan import date_cells

type Outputs = dict[str, tf.Tensor]


def export(
    model: keras.Model,
    *,
    columns: Sequence[str],
    label: Mapping[str, Any],
    dates: Mapping[str, Mapping[str, Any]],
    head: Mapping[str, Any],
    transform_graph: str,
    folder: str,
) -> None:
    """Writes the SavedModel to `folder`. Needs a process on TensorFlow; so all arguments but the model are JSON.

    columns: the raw columns of a request. Those that every row of the training data has are required.
    label, head: the fields of labels.Label and of losses.Head.
    dates: the fields of DateCells, by column.
    transform_graph: the path of Transform's graph.
    """
    transform_output = tft.TFTransformOutput(transform_graph)
    target = Label(**{**label, "classes": tuple(label["classes"])})
    model_head = losses.Head(**{**head, "frequencies": tuple(head["frequencies"])})
    module = tf.Module()
    module.model, module.transform = model, transform_output.transform_features_layer()  # tracks their variables
    spec = transform_output.raw_feature_spec()
    request_spec = {name: spec[name] for name in columns}
    named = _named(target)
    inputs = [tensor.name for tensor in model.inputs]

    def serving_default(examples: tf.Tensor) -> Outputs:
        transformed = module.transform(tf.io.parse_example(examples, request_spec))
        raw_outputs = model({name: transformed[name] for name in inputs}, training=False)
        return named(losses.predictions(raw_outputs, model_head))

    def transform_features(examples: tf.Tensor) -> Outputs:
        labelled_spec = request_spec | {target.name: spec[target.name]}
        outputs = dict(module.transform(tf.io.parse_example(examples, labelled_spec)))
        values = tf.cast(outputs[target.output], tf.float32)
        if target.problem == "multiclass":  # the Evaluator recognises a missing label by NaN, which no integer is
            values = tf.where(values < 0, tf.fill(tf.shape(values), float("nan")), values)
        return outputs | {target.output: values}

    examples = [tf.TensorSpec([None], tf.string, name="examples")]
    signatures = {
        function.__name__: tf.function(function, input_signature=examples)
        for function in (serving_default, transform_features)
    }
    target.write(Path(folder))
    date_cells.write(Path(folder), {name: date_cells.DateCells(**cells) for name, cells in dates.items()})
    tf.saved_model.save(module, folder, signatures=signatures)


def _named(label: Label) -> Callable[[tf.Tensor], Outputs]:
    """Returns a function from predictions to the outputs of serving_default."""
    if label.problem == "regression":
        return lambda predictions: {"predictions": predictions}
    if label.problem == "binary":
        return lambda predictions: {"probabilities": predictions}
    classes = [str(value) for value in label.classes]
    return lambda scores: {"scores": scores, "classes": tf.tile(tf.constant([classes]), [tf.shape(scores)[0], 1])}

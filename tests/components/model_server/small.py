"""Models that load at once: one of tensors, one of tf.Examples, and one with a classifier and a regressor."""

from pathlib import Path

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core.artifacts import SavedModel

_SCHEMA = """
feature { name: "fare" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 1 } }
          float_domain { min: 0 max: 100 } }
feature { name: "hour" type: INT value_count { min: 1 max: 1 } int_domain { min: 0 max: 23 } }
feature { name: "company" type: BYTES value_count { min: 1 max: 1 } string_domain { value: "Blue" value: "Red" } }
feature { name: "tips" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 1 } } }
"""


def tensors(folder: Path) -> Path:
    """Writes a model of tensors: `double` takes x [batch, 2]; `join` takes texts and numbers and gives both."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def double(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * 2}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec([None], tf.int64, name="count"),
            tf.TensorSpec([None], tf.bool, name="shout"),
        ]
    )
    def join(text: tf.Tensor, count: tf.Tensor, shout: tf.Tensor) -> dict[str, tf.Tensor]:
        loud = tf.where(shout, tf.strings.upper(text), text)
        return {"joined": tf.strings.join([loud, tf.strings.as_string(count)]), "next": count + 1, "loud": shout}

    tf.saved_model.save(module, str(folder), signatures={"serving_default": double, "join": join})
    return folder


def examples(folder: Path, factor: float = 2.0) -> Path:
    """Writes a model of tf.Examples, with its schema beside it: `total` is fare * factor + hour."""
    module = tf.Module()
    spec = {
        "fare": tf.io.FixedLenFeature([1], tf.float32),
        "hour": tf.io.FixedLenFeature([1], tf.int64, [0]),
        "company": tf.io.FixedLenFeature([1], tf.string, [""]),
    }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, spec)
        return {"total": parsed["fare"] * factor + tf.cast(parsed["hour"], tf.float32), "company": parsed["company"]}

    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
    schema = SavedModel(folder).schema
    schema.parent.mkdir(exist_ok=True)
    schema.write_text(text_format.MessageToString(text_format.Parse(_SCHEMA, schema_pb2.Schema())))
    return folder


def estimator(folder: Path) -> Path:
    """Writes a model as estimators export it: signatures with the methods classify and regress."""
    saved_model = tf.compat.v1.saved_model
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        serialized = tf.compat.v1.placeholder(tf.string, [None], "examples")
        x = tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        scores = tf.concat([1 - x, x], axis=1)
        classes = tf.tile(tf.constant([["no", "yes"]]), [tf.shape(x)[0], 1])
        signatures = {
            "serving_default": saved_model.classification_signature_def(serialized, classes, scores),
            "regress": saved_model.regression_signature_def(serialized, x * 10),
        }
        builder = saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], signatures)
        builder.save()
    return folder

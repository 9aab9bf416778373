"""Small models to serve: of tensors, of tf.Examples, and with several signatures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.model_server.settings import ModelSettings
from penstock.core.artifacts import SavedModel
from tests.servers.model_server import Client, serving

FEATURES = {
    "trip_miles": tf.io.FixedLenFeature([], tf.float32),
    "passengers": tf.io.FixedLenFeature([], tf.int64, -1),
    "payment": tf.io.VarLenFeature(tf.string),
    "stops": tf.io.VarLenFeature(tf.int64),
    "corner": tf.io.FixedLenFeature([2], tf.float32, [0.0, 0.0]),
}
SCHEMA = """
feature {name: "tips" type: FLOAT presence {min_fraction: 1}}
feature {name: "payment" type: BYTES value_count {min: 1 max: 1} domain: "payments"}
feature {name: "trip_miles" type: FLOAT float_domain {min: 0 max: 100}}
feature {name: "passengers" type: INT}
feature {name: "stops" type: INT}
feature {name: "corner" type: FLOAT}
string_domain {name: "payments" value: "Cash" value: "Credit Card"}
"""


class Linear(tf.Module):
    """`y = weight * x + 1`, whose weight tells versions apart."""

    def __init__(self, weight: float = 2.0):
        super().__init__()
        self.weight = tf.Variable(float(weight))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def predict(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": self.weight * x + 1}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.int64, "a"), tf.TensorSpec([None], tf.string, "b")])
    def several(self, a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        joined = tf.strings.join([b, tf.strings.as_string(a[:, 0])])
        return {"sum": tf.reduce_sum(a, axis=1), "joined": joined, "raw_bytes": joined}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def total(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"total": tf.reduce_sum(x), "y": self.weight * x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def positive(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.debugging.assert_positive(x, "x is to be positive")]):
            return {"log": tf.math.log(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def slow(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Counts to a thousand times the greatest number."""
        end = tf.cast(tf.reduce_max(x) * 1000, tf.int32)
        (counted,) = tf.while_loop(lambda n: n < end, lambda n: [n + 1], [tf.constant(0)])
        return {"y": x + tf.cast(counted, tf.float32) * 0}


def save_linear(folder: Path, weight: float = 2.0) -> Path:
    """Writes a Linear model below a temporary name first, as a push does."""
    model = Linear(weight)
    names = ("several", "total", "positive", "slow")
    signatures = {"serving_default": model.predict, **{name: getattr(model, name) for name in names}}
    temporary = folder.with_name(f".{folder.name}")
    tf.saved_model.save(model, str(temporary), signatures=signatures)
    temporary.rename(folder)
    return folder


class Trips(tf.Module):
    """Parses tf.Examples, and gives back what it has parsed."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, FEATURES)
        return {
            "miles": parsed["trip_miles"],
            "passengers": parsed["passengers"],
            "payment": tf.sparse.to_dense(parsed["payment"], default_value="?")[:, :1],
            "stops": tf.sparse.reduce_sum(parsed["stops"], axis=1),
            "corner": parsed["corner"],
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": 2 * tf.io.parse_example(inputs, FEATURES)["trip_miles"]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        share = tf.io.parse_example(inputs, FEATURES)["trip_miles"][:, tf.newaxis] / 100
        classes = tf.broadcast_to([["near", "far"]], [tf.shape(share)[0], 2])
        return {"scores": tf.concat([1 - share, share], axis=1), "classes": classes}


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_linear(tmp_path_factory.mktemp("linear") / "model")


@pytest.fixture(scope="session")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of tf.Examples with its schema beside it."""
    folder = tmp_path_factory.mktemp("trips") / "model"
    model = Trips()
    tf.saved_model.save(
        model,
        str(folder),
        signatures={name: getattr(model, name) for name in ("serving_default", "regress", "classify")},
    )
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    SavedModel(folder).schema.parent.mkdir(exist_ok=True)
    SavedModel(folder).schema.write_text(text_format.MessageToString(schema))
    return folder


@pytest.fixture(scope="session")
def server(linear: Path, trips: Path) -> Iterator[Client]:
    """A client of a server of both models."""
    with serving(ModelSettings("linear", str(linear)), ModelSettings("trips", str(trips))) as client:
        yield client

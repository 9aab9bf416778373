"""Errors as TensorFlow and Keras raise them, and what to do about them."""

import json
import subprocess

import pytest

from penstock.core.legacy import advice

# What is tried with each Keras: of a name, what raises, and what the advice begins with.
TRIED = {
    "estimator": ("tf.estimator.Estimator", {2: "estimators ended", 3: "estimators ended"}),
    "v1": ("tf.compat.v1.estimator.Estimator", {2: "estimators ended", 3: "estimators ended"}),
    "import": ("from tensorflow import estimator", {2: "estimators ended", 3: "estimators ended"}),
    "package": (
        "from tensorflow_estimator.python.estimator import estimator",
        {2: "estimators ended", 3: "estimators"},
    ),
    "submodule": ("import tensorflow.estimator", {2: "estimators ended", 3: "estimators ended"}),
    "save_format": ("model().save(folder, save_format='tf')", {3: "tf.keras is Keras 3 in this task: `keras: 2`"}),
    "folder": ("model().save(folder)", {3: "tf.keras is Keras 3"}),
    "legacy": ("tf.keras.optimizers.legacy.Adam()", {3: "tf.keras is Keras 3"}),
    "DenseFeatures": ("tf.keras.layers.DenseFeatures", {3: "tf.keras is Keras 3"}),
    "imported": ("from tensorflow.keras.layers import DenseFeatures", {3: "tf.keras is Keras 3"}),
    "experimental": ("from tensorflow.keras.layers.experimental import preprocessing", {3: "tf.keras is Keras 3"}),
    "lr": ("tf.keras.optimizers.Adam(lr=0.1)", {3: "tf.keras is Keras 3"}),
    "layer": ("tf.keras.Sequential([tf_keras.layers.Dense(1)])", {3: "tf.keras is Keras 3"}),
    "checkpoint": ("tf.keras.callbacks.ModelCheckpoint(folder + '/best')", {3: "tf.keras is Keras 3"}),
    "weights": ("model().save_weights(folder + '/last')", {3: "tf.keras is Keras 3"}),
    "best weights": (
        "tf.keras.callbacks.ModelCheckpoint(folder + '/best', save_weights_only=True)",
        {3: "tf.keras is Keras 3"},
    ),
    "time_major": ("tf.keras.layers.LSTM(1, time_major=True)", {3: "tf.keras is Keras 3"}),
    "symbolic": ("tf.keras.Model(x := tf.keras.Input((1,)), tf.reduce_sum(x))", {3: "tf.keras is Keras 3"}),
    "ops": ("tf.keras.ops.relu", {2: "tf.keras is Keras 2 in this task: `keras: 3`"}),
    "from ops": ("from tensorflow.keras import ops", {2: "tf.keras is Keras 2"}),
    "other": ("raise AttributeError('module tensorflow has no attribute estimators')", {}),
}
SCRIPT = """
import json, sys, tempfile
import penstock.components
import tensorflow as tf, tf_keras
from penstock.core.legacy import advice, keras_version

def model():
    return tf.keras.Sequential([tf.keras.layers.Input((1,)), tf.keras.layers.Dense(1)])

said = {}
for version in (3, 2):
    keras_version.use(version)
    for name, statement in json.loads(sys.argv[1]).items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                exec(statement)
                said[f"{name} {version}"] = "nothing is wrong"
            except Exception as error:
                said[f"{name} {version}"] = advice.on(error) or f"no advice: {type(error).__name__}: {error}"
print(json.dumps(said))
"""


def test_what_each_keras_lacks(python: str) -> None:
    statements = json.dumps({name: statement for name, (statement, _) in TRIED.items()})
    done = subprocess.run([python, "-c", SCRIPT, statements], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    for name, (_, expected) in TRIED.items():
        for version in (2, 3):
            what = said[f"{name} {version}"]
            if version in expected:
                assert what.startswith(expected[version]), (name, version, what)
            else:
                assert what.startswith(("nothing is wrong", "no advice")), (name, version, what)


@pytest.mark.parametrize(
    ("defined", "expected"),
    [({"trainer_fn"}, True), ({"trainer_fn", "run_fn"}, False), ({"fit"}, False), (set(), False)],
)
def test_a_module_for_estimators(defined: set[str], expected: bool) -> None:
    assert advice.is_for_estimators(defined) == expected

"""Which Keras `tf.keras` is can be chosen after TensorFlow, TFT and TFMA are imported, as in a warm worker's fork."""

import subprocess
import sys

import pytest

from penstock.core.errors import ConfigError
from penstock.core.legacy import keras_version

# Each way to name Keras, and what all of them have to be.
WAYS = """
import sys
import keras, tensorflow as tf, tf_keras
import tensorflow_transform, tensorflow_model_analysis
import tensorflow.keras.layers  # as a user's module in a warm worker
from penstock.core.legacy import keras_version
tf.keras.layers.Dense, tf.compat.v1.keras.layers.Dense, tf.optimizers.Adam
for version, kept in ((2, tf_keras), (3, keras), (2, tf_keras), (0, tf_keras)):
    keras_version.use(version)
    from tensorflow import keras as from_import
    from tensorflow.keras.layers import Dense
    import tensorflow.keras.optimizers as imported
    named = [tf.keras.layers.Dense, tf.compat.v1.keras.layers.Dense, tf.compat.v2.keras.layers.Dense]
    named += [from_import.layers.Dense, Dense, sys.modules["tensorflow.keras.layers"].Dense]
    assert all(dense is kept.layers.Dense for dense in named), (version, named)
    optimizers = [tf.optimizers.Adam, imported.Adam, tf.keras.optimizers.Adam]
    assert all(adam is kept.optimizers.Adam for adam in optimizers), (version, optimizers)
    assert tf.losses.MeanSquaredError is kept.losses.MeanSquaredError
tf.compat.v1.layers.Dense
assert tensorflow_transform.TransformFeaturesLayer.__mro__[1] is tf_keras.Model
print("done")
"""


def run(python: str, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-c", script], capture_output=True, text=True, check=False, env=environment or None)


def test_the_choice_holds_for_every_name_of_keras(python: str) -> None:
    done = run(python, WAYS)
    assert done.stdout == "done\n", done.stderr


@pytest.mark.slow
def test_the_choice_before_tensorflow_is_imported() -> None:
    """In an interpreter of its own: it is Keras 3, and TFT does not warn of what concerns nobody."""
    script = (
        "import penstock.components, tensorflow_transform, tensorflow as tf\nprint(tf.keras.layers.Dense.__module__)"
    )
    done = run(sys.executable, script)
    assert done.stdout == "keras.src.layers.core.dense\n"
    assert "TF_USE_LEGACY_KERAS" not in done.stderr


@pytest.mark.slow
def test_a_model_server_is_there_without_keras() -> None:
    """In an interpreter of its own: neither Keras nor what only pipelines need slows its start."""
    script = (
        "import sys\nfrom penstock.core.legacy import keras_version\nkeras_version.leave_out()\n"
        "import penstock.components.model_server.server, tensorflow as tf\nassert tf.saved_model.load\n"
        "slow = ['keras.src', 'tf_keras.src', 'sklearn', 'pandas', 'pyarrow', 'tfx_bsl', 'apache_beam', 'kfp']\n"
        "print([name for name in slow if name in sys.modules])"
    )
    done = run(sys.executable, script)
    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_other_numbers_are_none_of_keras() -> None:
    with pytest.raises(ConfigError, match="keras: expected 2 or 3, received 4"):
        keras_version.use(4)

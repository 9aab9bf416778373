"""How models are loaded and called."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from penstock.components.model_server.models import loading


def test_a_model_of_keras_3_that_tensorflow_saves_has_its_weights(tmp_path: Path) -> None:
    """As TFX's taxi example saves it: each variable is there twice."""
    model = keras.Sequential([keras.Input([2], name="x"), keras.layers.Dense(3), keras.layers.Dense(1)])

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": model(x)}

    tf.saved_model.save(model, str(tmp_path), signatures={"serving_default": serve})
    rows = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    loaded = loading.load(tmp_path)
    (served,) = loaded.calls["serving_default"]([rows])
    loaded.close()
    assert served == pytest.approx(np.asarray(model(rows)), rel=1e-5)

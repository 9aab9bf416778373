"""How models are loaded and called."""

import gc
import os
import sys
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from penstock.components.model_server.models import loading


def _resident() -> int:
    """Returns how many megabytes of this process are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the memory is read from /proc")
def test_a_model_that_is_closed_gives_its_memory_back(tmp_path: Path) -> None:
    module = tf.Module()
    module.weights = tf.Variable(tf.ones([20_000_000]))  # 80 MB, more than what else comes and goes in this process

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x + tf.reduce_sum(module.weights)}

    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": serve})
    sizes = []
    for _ in range(6):
        model = loading.load(tmp_path)
        assert model.calls["serving_default"]([np.array([1.0], np.float32)])[0] == pytest.approx(20_000_001)
        model.close()
        sizes.append(_resident())
    assert sizes[-1] - sizes[1] < 160, sizes  # half of what four of them have


def test_the_last_model_that_is_closed_ends_the_freeze(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others: weakref.WeakSet[loading.LoadedModel] = weakref.WeakSet()
    monkeypatch.setattr(loading, "_open", others)  # or models of other tests in this process would count
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x}

    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": serve})
    first, second = loading.load(tmp_path), loading.load(tmp_path)
    loading.freeze()
    first.close()
    assert gc.get_freeze_count() > 10_000
    second.close()
    assert gc.get_freeze_count() == 0


def test_inputs_and_outputs_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    module = tf.Module()
    specs = [tf.TensorSpec([None], dtype, name) for dtype, name in ((tf.float32, "z-in"), (tf.int64, "b/in"))]

    @tf.function(input_signature=specs)
    def serve(z: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"z-out": z, "b out": b}

    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": serve})
    model = loading.load(tmp_path)
    assert [*model.signatures["serving_default"].inputs] == ["b/in", "z-in"]
    outputs = model.calls["serving_default"]([np.array([1]), np.array([0.5], np.float32)])
    assert dict(zip(model.signatures["serving_default"].outputs, outputs, strict=True)) == {"b out": 1, "z-out": 0.5}
    model.close()


@pytest.mark.slow
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

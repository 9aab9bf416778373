"""Models that bring no requests are warmed by made-up ones."""

from pathlib import Path

import pytest
import tensorflow as tf

from penstock.components.model_server.models import loading
from penstock.components.model_server.models.warm_up import warm_up


def test_a_made_up_example_is_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its last byte is a zero, as those of a number are."""
    module = tf.Module()
    spec = {"fare": tf.io.FixedLenFeature([1], tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"doubled": tf.io.parse_example(examples, spec)["fare"] * 2}

    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": serve})
    loaded = loading.load(tmp_path)
    assert warm_up(loaded, tmp_path) == 1
    loaded.close()
    assert not [record for record in caplog.records if "made-up" in record.getMessage()]

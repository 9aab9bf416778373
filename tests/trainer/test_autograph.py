"""AutoGraph against functions of TensorFlow Transform's own, which a signature for raw examples calls."""

import sys
from collections.abc import Callable

import pytest
import tensorflow as tf
from tensorflow.python.autograph.core import config
from tensorflow_transform.tf_metadata import schema_utils

from penstock.trainer import autograph


def rewritten(function: Callable[[], object]) -> int:
    """Returns how many functions AutoGraph rewrites for a new tf.function, besides this one."""

    def modules() -> set[str]:
        return {name for name in sys.modules if name.startswith("__autograph_generated_file")}

    before = modules()
    tf.function(lambda: function() and tf.constant(1)).get_concrete_function()
    return len(modules() - before) - 1


def spec() -> object:
    return schema_utils.schema_as_feature_spec(
        schema_utils.schema_from_feature_spec({"fare": tf.io.VarLenFeature(tf.float32)})
    )


def test_libraries_are_not_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = tuple(rule for rule in config.CONVERSION_RULES if "tensorflow_transform" not in str(rule))
    monkeypatch.setattr(config, "CONVERSION_RULES", rules)
    autograph.skip_libraries()
    assert rewritten(lambda: spec()) == 2  # the lambda and `spec`
    once = config.CONVERSION_RULES
    autograph.skip_libraries()
    assert once == config.CONVERSION_RULES


def test_a_persons_own_functions_are_rewritten() -> None:
    autograph.skip_libraries()

    def sign(number: tf.Tensor) -> tf.Tensor:
        if number > 0:
            return tf.constant(1)
        return tf.constant(-1)

    assert int(tf.function(sign)(tf.constant(3))) == 1

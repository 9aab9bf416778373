"""Models that are tried, each made once, and the examples that the servers are asked about."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from penstock.core.artifacts import Examples, Model
from penstock.core.examples import records

FEATURES = {"x": tf.io.FixedLenFeature([], tf.float32), "kind": tf.io.FixedLenFeature([], tf.string)}
ROWS = 8


class Parsing(tf.Module):
    """Takes serialized examples; `answer` says what it makes of x and kind."""

    def __init__(self, answer: Callable[..., dict[str, tf.Tensor]], features: dict[str, tf.io.FixedLenFeature]):
        self.calls = tf.Variable(0.0)
        self._answer, self._features = answer, features

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._answer(self, **tf.io.parse_example(examples, self._features))


def doubled(model: Parsing, x: tf.Tensor, kind: tf.Tensor, **_: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"double": 2 * x, "name": kind + "!", "two": tf.stack([x, -x], 1)}


def drawn(model: Parsing, x: tf.Tensor, kind: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"double": 2 * x + tf.random.uniform(tf.shape(x))}


def counted(model: Parsing, x: tf.Tensor, kind: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"double": 2 * x + model.calls.assign_add(1.0)}


def save(folder: Path, answer: Callable[..., dict[str, tf.Tensor]], features: dict[str, tf.io.FixedLenFeature]) -> Path:
    module = Parsing(answer, features)
    tf.saved_model.save(module, str(Model(folder).serving), signatures={"serving_default": module.serve})
    return folder


@pytest.fixture(scope="session")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with three outputs, one of them text, whose answers are the same each time."""
    return save(tmp_path_factory.mktemp("steady"), doubled, FEATURES)


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight examples of the split eval, with the label y."""
    root = tmp_path_factory.mktemp("examples")
    rows = []
    for number in range(ROWS):
        example = tf.train.Example()
        example.features.feature["x"].float_list.value.append(number / 4)
        example.features.feature["kind"].bytes_list.value.append(b"cat" if number % 2 else b"d\xff\x00")
        example.features.feature["y"].int64_list.value.append(number)
        rows.append(example.SerializeToString(deterministic=True))
    records.write(Examples(root).shard("eval", 0, 1), rows)
    records.write(Examples(root).shard("train", 0, 1), rows[:1])
    return root

"""Signatures of small SavedModels, read from their files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from penstock.core.errors import ModelError
from penstock.core.models import signatures
from penstock.core.models.signatures import ParsedFeature, Tensor

EXAMPLES = [tf.TensorSpec([None], tf.string, name="examples")]
SPEC = {
    "mass": tf.io.FixedLenFeature([], tf.float32),
    "year": tf.io.FixedLenFeature([2], tf.int64, [0, 0]),
    "sex": tf.io.VarLenFeature(tf.string),
    "words": tf.io.RaggedFeature(tf.string),
}


class Nested(tf.Module):
    """Parses its examples three functions down, one of them in a branch."""

    @tf.function
    def parse(self, texts: tf.Tensor) -> tf.Tensor:
        parsed = tf.io.parse_example(tf.identity(texts), SPEC)
        return parsed["mass"] + tf.cast(tf.shape(parsed["sex"])[0] + parsed["words"].nrows(tf.int32), tf.float32)

    @tf.function(input_signature=EXAMPLES)
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        mass = tf.cond(tf.size(examples) > 3, lambda: self.parse(examples), lambda: self.parse(examples) * 2.0)
        return {"mass": mass[:, None], "mean": tf.reduce_mean(mass)}

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.string, name="text")])
    def raw(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"length": tf.strings.length(text), "sparse": tf.sparse.from_dense(tf.strings.length(text))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, model = tmp_path_factory.mktemp("model"), Nested()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve, "raw": model.raw})
    return folder


def test_what_a_signature_takes_and_gives(folder: Path) -> None:
    read = signatures.read(folder)
    assert set(read) == {"serving_default", "raw"}
    assert read["serving_default"].inputs == {"examples": Tensor(tf.string, (None,))}
    assert read["serving_default"].outputs == {"mass": Tensor(tf.float32, (None, 1)), "mean": Tensor(tf.float32, ())}
    assert read["serving_default"].features == {
        "mass": ParsedFeature(tf.float32, required=True, shape=()),
        "year": ParsedFeature(tf.int64, required=False, shape=(2,)),
        "sex": ParsedFeature(tf.string, required=False),
        "words": ParsedFeature(tf.string, required=False),
    }
    assert read["serving_default"].parses_examples
    assert read["serving_default"].definition.inputs["examples"].dtype == tf.string.as_datatype_enum
    assert (read["raw"].features, read["raw"].parses_examples) == ({}, False)
    assert read["raw"].outputs["length"] == Tensor(tf.int32, (None, 1))


def test_what_a_loaded_signature_does_with_its_text(folder: Path) -> None:
    loaded = tf.saved_model.load(str(folder))
    parses: Callable[..., bool] = signatures.parses_examples
    assert parses(loaded.signatures["serving_default"])
    assert not parses(loaded.signatures["raw"])


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"saved_model\.pb: expected a SavedModel"):
        signatures.read(tmp_path)

"""Models that take no tf.Examples: what they take instead is told, and what else asks them."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from penstock.components.scoring.features import ModelInputs
from penstock.core.errors import ModelError


@tf.function(
    input_signature=[tf.TensorSpec([None], tf.float32, name="x"), tf.TensorSpec([None], tf.int64, name="count")]
)
def of_tensors(x: tf.Tensor, count: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"y": x + tf.cast(count, tf.float32)}


@tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
def of_sequences(examples: tf.Tensor) -> dict[str, Any]:
    steps = {"pages": tf.io.RaggedFeature(tf.string)}
    _, sequences, _ = tf.io.parse_sequence_example(examples, sequence_features=steps)
    return {"pages": sequences["pages"].row_lengths()}


@pytest.mark.parametrize(
    ("signatures", "sentence"),
    [
        ({"other": of_sequences}, r"found none: save the model with signatures=\{'serving_default': …\}"),
        (
            {"serving_default": of_tensors},
            r"found one of the tensors count \(int64\), x \(float32\): `penstock serve .*/model` takes such in",
        ),
        (
            {"serving_default": of_sequences},
            r"found one of tf.SequenceExamples, .*: BulkInferrer asks .* `penstock predict .*/model --examples FILE`",
        ),
    ],
)
def test_what_a_model_takes_instead_is_told(tmp_path: Path, signatures: dict[str, Any], sentence: str) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "model"), signatures=signatures)
    with pytest.raises(ModelError, match=f"a signature serving_default that takes serialized tf.Examples, {sentence}"):
        ModelInputs.of(tmp_path / "model")

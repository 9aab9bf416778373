"""A row whose value cleaning takes for missing, and a model that needs it."""

import json
from pathlib import Path

import pytest
import tensorflow as tf

from penstock.core.artifacts import SavedModel
from penstock.core.errors import DataError
from penstock.core.models import loaded


class Lengths(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, {"island": tf.io.FixedLenFeature([], tf.string)})
        return {"length": tf.strings.length(parsed["island"])}


def example(island: str) -> bytes:
    values = tf.train.Feature(bytes_list=tf.train.BytesList(value=[island.encode()]))
    made: bytes = tf.train.Example(features=tf.train.Features(feature={"island": values})).SerializeToString()
    return made


def test_a_value_that_cleaning_takes_for_missing_is_named(tmp_path: Path) -> None:
    model = Lengths()
    tf.saved_model.save(model, str(tmp_path), signatures={"serving_default": model.serve})
    rule = {"rule": "missing_values", "name": "words", "columns": ["island"], "values": ["?"], "serving": "applied"}
    file = SavedModel(tmp_path).cleaning
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"version": 1, "types": {"island": "text"}, "rules": [rule]}))
    (signature,) = loaded.load(tmp_path, cleans=True)
    assert signature.predict([example("Dream"), example("Biscoe")])["length"].tolist() == [5, 6]
    with pytest.raises(DataError, match=r"column 'island': .* missing in 1 of 2 rows \('\?'\), and the model"):
        signature.predict([example("Dream"), example("?")])

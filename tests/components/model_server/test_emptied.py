"""A row whose value cleaning takes for missing, and a model that needs it."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from penstock.components.model_server.inference import Kind, RequestError
from penstock.components.model_server.models import loading
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


SENTENCE = r"column 'island': the rules .* missing in 1 of 2 rows \('\?'\), and the model"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    model = Lengths()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
    rule = {"rule": "missing_values", "name": "words", "columns": ["island"], "values": ["?"], "serving": "applied"}
    file = SavedModel(folder).cleaning
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"version": 1, "types": {"island": "text"}, "rules": [rule]}))
    return folder


def test_a_value_that_cleaning_takes_for_missing_is_named(folder: Path) -> None:
    (signature,) = loaded.load(folder, cleans=True)
    assert signature.predict([example("Dream"), example("Biscoe")])["length"].tolist() == [5, 6]
    with pytest.raises(DataError, match=SENTENCE):
        signature.predict([example("Dream"), example("?")])


def test_a_server_names_it_too(folder: Path) -> None:
    call = loading.load(folder).calls["serving_default"]
    with pytest.raises(RequestError, match=SENTENCE) as refused:
        call([np.array([example("Dream"), example("?")], object)])
    assert refused.value.kind == Kind.INVALID

"""What a model server is asked: real examples without the label, for every kind of signature."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from penstock.components.infra_validator import requests
from penstock.components.infra_validator.requests import NotAskable
from penstock.components.infra_validator.settings import Requests
from penstock.core.artifacts import Examples, Model, SavedModel
from penstock.core.errors import DataError, ModelError
from tests.components.infra_validator.conftest import FEATURES, ROWS, doubled, save

EVAL = Requests(split="eval", number=3)


def test_serialized_examples_lack_the_label(steady: Path, examples: Path) -> None:
    built = requests.build(Model(steady).serving, Examples(examples), EVAL, "y")
    assert [(request.signature, request.row, list(request.inputs)) for request in built] == [
        ("serving_default", number, ["examples"]) for number in (1, 2, 3)
    ]
    example = tf.train.Example.FromString(built[1].inputs["examples"][0])
    assert sorted(example.features.feature) == ["kind", "x"]
    assert example.features.feature["x"].float_list.value == [0.25]
    kept = requests.build(Model(steady).serving, Examples(examples), EVAL, "")
    assert "y" in tf.train.Example.FromString(kept[0].inputs["examples"][0]).features.feature


def test_a_label_that_the_signature_needs_stays(examples: Path, tmp_path: Path) -> None:
    model = save(tmp_path, doubled, {**FEATURES, "y": tf.io.FixedLenFeature([], tf.int64)})
    (request,) = requests.build(Model(model).serving, Examples(examples), Requests(split="eval"), "y")
    assert "y" in tf.train.Example.FromString(request.inputs["examples"][0]).features.feature


def test_as_many_as_there_are_of_the_first_split_where_none_is_named(steady: Path, examples: Path) -> None:
    serving = Model(steady).serving
    assert len(requests.build(serving, Examples(examples), Requests(number=100), "y")) == ROWS
    with pytest.raises(DataError, match="split 'test' does not exist: expected one of eval, train"):
        requests.build(serving, Examples(examples), Requests(split="test"), "y")


def test_a_signature_that_is_not_there(steady: Path, examples: Path) -> None:
    with pytest.raises(ModelError, match="no signature 'serving_defualt'; did you mean 'serving_default'"):
        requests.build(Model(steady).serving, Examples(examples), Requests(("serving_defualt",)), "y")


class Columns(tf.Module):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 1], tf.float64, name="x"),
            tf.TensorSpec([None], tf.string, name="kind"),
        ]
    )
    def __call__(self, x: tf.Tensor, kind: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x}


class Others(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def three(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="age")])
    def age(self, age: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": age}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="kind")])
    def kind(self, kind: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": kind}


def test_inputs_that_are_features_get_their_values(examples: Path, tmp_path: Path) -> None:
    tf.saved_model.save(model := Columns(), str(tmp_path / "model"), signatures={"serving_default": model.__call__})
    _, request = requests.build(tmp_path / "model", Examples(examples), Requests(split="eval", number=2), "y")
    assert request.inputs["x"].dtype == np.float64
    assert request.inputs["x"].tolist() == [[0.25]]
    assert request.inputs["kind"].tolist() == [b"cat"]


def test_signatures_that_examples_do_not_fit(examples: Path, tmp_path: Path) -> None:
    model = Others()
    signatures = {"three": model.three, "age": model.age, "kind": model.kind}
    tf.saved_model.save(model, str(tmp_path / "model"), signatures=signatures)
    for name, message in {
        "three": r"takes \[3\] values as the input 'x', of which an example has 1: the model was loaded, and not asked",
        "age": "takes the input 'age', which is no feature of the examples: the model was loaded, and not asked",
        "kind": "takes int64 as the input 'kind', of which the examples have bytes_list: the model was loaded",
    }.items():
        with pytest.raises(NotAskable, match=message):
            requests.build(tmp_path / "model", Examples(examples), Requests((name,), "eval"), "y")
    with pytest.raises(NotAskable, match="no signature serving_default, only age, kind, three: it was loaded"):
        requests.build(tmp_path / "model", Examples(examples), EVAL, "y")


def test_warm_up_requests_are_those_of_tensorflow_serving(steady: Path, examples: Path, tmp_path: Path) -> None:
    built = requests.build(Model(steady).serving, Examples(examples), EVAL, "y")
    model = SavedModel(tmp_path)
    requests.write_warm_up(model, "taxi", built)
    read = tf.data.TFRecordDataset(str(tmp_path / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in read.as_numpy_iterator()]
    assert [log.WhichOneof("log_type") for log in logs] == ["predict_log"] * 3
    asked = logs[2].predict_log.request
    assert (asked.model_spec.name, asked.model_spec.signature_name) == ("taxi", "serving_default")
    assert tf.make_ndarray(asked.inputs["examples"]).tolist() == built[2].inputs["examples"].tolist()
    content = model.warm_up_requests.read_bytes()
    requests.write_warm_up(model, "taxi", built)
    assert model.warm_up_requests.read_bytes() == content

"""Predictions of a small model, trained here on the penguins, against the model itself."""

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tfx_bsl.public.tfxio import TensorFlowDatasetOptions

from penstock.core.errors import DataError, ModelError
from penstock.core.examples import records
from penstock.core.models import loaded, predict
from penstock.trainer.data import reader

INPUTS = ("flipper_length_mm", "body_mass_g")
SPECS = {name: tf.io.FixedLenFeature([1], tf.float32, 0.0) for name in INPUTS}


def scaled(features: dict[str, tf.Tensor]) -> tf.Tensor:
    return tf.concat([features["flipper_length_mm"] / 200.0 - 1.0, features["body_mass_g"] / 4000.0 - 1.0], axis=1)


def served(model: keras.Model, classify: bool = False) -> Any:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        gentoo = model(scaled(tf.io.parse_example(examples, SPECS)))
        if not classify:
            return {"gentoo": gentoo}
        return {
            "scores": tf.concat([1 - gentoo, gentoo], axis=1),
            "classes": tf.broadcast_to([["other", "Gentoo"]], [tf.shape(gentoo)[0], 2]),
        }

    return serving_default


@pytest.fixture(scope="module")
def network(penguins: Any) -> keras.Model:
    """Tells Gentoo penguins from others by two measurements; nine in ten are right after training."""
    keras.utils.set_random_seed(1)
    options = TensorFlowDatasetOptions(batch_size=32, label_key="is_gentoo", shuffle_seed=1)

    def dense(features: dict[str, Any], label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return scaled({name: tf.reshape(tf.sparse.to_dense(features[name]), [-1, 1]) for name in INPUTS}), label

    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
    network.compile(keras.optimizers.Adam(0.03), "binary_crossentropy", metrics=["accuracy"])
    dataset = reader.tf_dataset([penguins.pattern], options, penguins.schema).map(dense)
    history = network.fit(dataset, steps_per_epoch=150, shuffle=False, verbose=0)
    assert history.history["accuracy"][-1] > 0.9
    return network


@pytest.fixture(scope="module")
def model(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tf.saved_model.save(network, str(folder), signatures={"serving_default": served(network)})
    return folder


def test_predictions_are_the_models(penguins: Any, network: keras.Model, model: Path) -> None:
    serialized = next(records.read(penguins.files[0], batch_size=60))
    outputs = predict.predict(model, serialized)
    assert list(outputs) == ["gentoo"]
    expected = network(scaled(tf.io.parse_example(serialized, SPECS))).numpy()
    np.testing.assert_allclose(outputs["gentoo"], expected, rtol=1e-5)
    assert outputs["gentoo"].shape == (60, 1)


def test_rows_hold_features_and_predictions(penguins: Any, model: Path) -> None:
    rows = predict.predict_rows(model, penguins.files[1], rows=5, label="is_gentoo")
    assert [row["features"]["row"] for row in rows] == [150, 151, 152, 153, 154]
    assert [row["label"] for row in rows] == penguins.rows["is_gentoo"][150:155].tolist()
    first, expected = rows[0]["features"], penguins.rows.iloc[150]
    assert "is_gentoo" not in first
    for name in ("species", "year", "body_mass_g"):
        assert first[name] == expected[name]
    missing = penguins.rows["sex"].iloc[150:300].isna()
    many = predict.predict_rows(model, penguins.files[1], rows=1000)
    assert len(many) == 150
    assert [row["features"]["sex"] is None for row in many] == missing.tolist()
    assert all(row["features"]["is_gentoo"] in (0, 1) and row["label"] is None for row in many)
    right = sum(round(row["prediction"]["gentoo"]) == row["features"]["is_gentoo"] for row in many)
    assert right > 135


def test_values_are_plain_python(penguins: Any, network: keras.Model, tmp_path: Path) -> None:
    tf.saved_model.save(network, str(tmp_path), signatures={"serving_default": served(network, classify=True)})
    (row,) = predict.predict_rows(tmp_path, penguins.files[0], rows=1)
    assert row["prediction"]["classes"] == ["other", "Gentoo"]
    assert [type(score) for score in row["prediction"]["scores"]] == [float, float]
    assert sum(row["prediction"]["scores"]) == pytest.approx(1)


def test_the_model_is_found_in_an_artifact_and_below_a_base_folder(model: Path, tmp_path: Path) -> None:
    for name in ("9", "10", "notes"):
        (tmp_path / "base" / name).mkdir(parents=True)
        (tmp_path / "base" / name / "saved_model.pb").touch()
    (tmp_path / "base" / "11").mkdir()  # a version that is still being copied
    assert predict.saved_model_folder(tmp_path / "base") == tmp_path / "base" / "10"
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact" / "Format-Serving").symlink_to(model)
    assert predict.saved_model_folder(tmp_path / "artifact") == tmp_path / "artifact" / "Format-Serving"
    assert predict.saved_model_folder(model) == model
    with pytest.raises(ModelError, match="no SavedModel at"):
        predict.saved_model_folder(tmp_path / "nothing")


class Signatures(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="number")])
    def number(self, number: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"double": 2 * number}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def total(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"count": tf.size(examples)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def strict(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.io.parse_example(examples, {"absent": tf.io.FixedLenFeature([1], tf.float32)})


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("transform_features", "strict", "no signature 'serving_default': it has transform_features"),
        ("serving_default", "number", "expected one input, serialized tf.Examples, received number: float32"),
        ("serving_default", "total", r"an output 'count' with a value for each of the 3 examples, received .* \(\)"),
        ("serving_default", "strict", r"failed: Name: <unknown>, Feature: absent .* could not be found\.$"),
    ],
)
def test_a_model_that_cannot_predict_says_why(
    penguins: Any, tmp_path: Path, name: str, function: str, message: str
) -> None:
    module = Signatures()
    tf.saved_model.save(module, str(tmp_path), signatures={name: getattr(module, function)})
    with pytest.raises(ModelError, match=message):
        predict.predict(tmp_path, next(records.read(penguins.files[0], batch_size=3)))


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_model_that_cannot_be_loaded_says_why(model: Path, tmp_path: Path, is_cut: bool) -> None:
    """Of what a damaged model does to TensorFlow, few kinds of errors are TensorFlow's own."""
    damaged = shutil.copytree(model, tmp_path / "damaged")
    index = damaged / "variables" / "variables.index"
    if is_cut:
        index.write_bytes(index.read_bytes()[:2])
    else:
        index.unlink()
    with pytest.raises(ModelError, match=r"the model at .*/damaged cannot be loaded: (file is too short|FileNotFound)"):
        predict.predict(damaged, [b""])


def test_a_graph_with_these_tags_must_be_there(model: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be loaded: ValueError: .*\['gpu'\].*tags \['serve'\]"):
        loaded.load(model, tags=("gpu",))


def test_examples_that_cannot_be_read(model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.gz does not exist"):
        predict.predict_rows(model, tmp_path / "missing.gz", rows=1)
    records.write(tmp_path / "empty.gz", [])
    with pytest.raises(DataError, match="holds no example to predict"):
        predict.predict_rows(model, tmp_path / "empty.gz", rows=1)
    records.write(tmp_path / "other.gz", [b"not an example"])
    with pytest.raises(DataError, match="expected serialized"):
        predict.predict_rows(model, tmp_path / "other.gz", rows=1)

"""The default model on real data: scikit-learn's breast cancers, digits and diabetics, and the Palmer penguins."""

import importlib.util
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import palmerpenguins
import pandas as pd
import pytest
import sklearn.datasets
from sklearn.metrics import r2_score, roc_auc_score

from penstock.core.errors import ConfigError, DataError
from penstock.trainer.network import calibration, model
from penstock.trainer.network.hyperparameters import Hyperparameters

BINS = 48


@dataclass(frozen=True)
class Table:
    """A table as the model takes it; every fourth row is for testing, the next for early stopping."""

    inputs: list[model.Number | model.Ids]
    head: model.Head
    features: dict[str, np.ndarray]
    labels: np.ndarray  # [rows, 1]

    def part(self, remainders: set[int]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        rows = np.isin(np.arange(len(self.labels)) % 4, list(remainders))
        return {name: values[rows] for name, values in self.features.items()}, self.labels[rows]

    @property
    def train(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        return self.part({0, 1})

    @property
    def evaluate(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        return self.part({2})

    @property
    def test(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        return self.part({3})


def table(frame: pd.DataFrame, label: str, problem: str) -> Table:
    """Numbers go onto the quantile scale, strings become ids."""
    frame = frame.sample(frac=1, random_state=1)
    inputs: list[model.Number | model.Ids] = []
    features: dict[str, np.ndarray] = {}
    for name, column in frame.drop(columns=label).items():
        missing = column.isna().to_numpy()
        if column.dtype == object:
            codes = pd.Categorical(column).codes.astype("int32")
            inputs.append(model.Ids(str(name), int(codes.max()) + 2))
            features[str(name)] = codes[:, None] + 1
        else:
            bounds, first = np.unique(column.quantile(np.linspace(0, 1, BINS + 1)), return_index=True)
            scaled = np.interp(column.fillna(bounds[0]), bounds, first / BINS)
            inputs.append(model.Number(str(name)))
            features[str(name)] = np.stack([np.where(missing, 0, scaled), missing], 1).astype("float32")
    if problem == "regression":
        values = frame[label].to_numpy("float32")
        head = model.Head("regression", mean=float(values.mean()), deviation=float(values.std()))
        return Table(inputs, head, features, values[:, None])
    codes = pd.Categorical(frame[label]).codes
    frequencies = tuple(np.bincount(codes) / len(codes))
    head = model.Head(problem, classes=len(frequencies), frequencies=frequencies)  # type: ignore[arg-type]
    return Table(inputs, head, features, codes[:, None].astype("float32" if problem == "binary" else "int64"))


@pytest.fixture(scope="module")
def cancers() -> Table:
    return table(sklearn.datasets.load_breast_cancer(as_frame=True).frame, "target", "binary")


@pytest.fixture(scope="module")
def penguins() -> Table:
    return table(palmerpenguins.load_penguins().drop(columns="year"), "species", "multiclass")


@pytest.fixture(scope="module")
def diabetics() -> Table:
    return table(sklearn.datasets.load_diabetes(as_frame=True).frame, "target", "regression")


def fitted(data: Table, epochs: int = 20, **given: float) -> keras.Model:
    keras.utils.set_random_seed(1)
    features, labels = data.train
    network = model.build(data.inputs, data.head, Hyperparameters.for_rows(len(labels), epochs=epochs, **given))
    network.fit(features, labels, batch_size=32, epochs=epochs, verbose=0)
    return network


def predicted(network: keras.Model, data: Table, features: dict[str, np.ndarray]) -> np.ndarray:
    raw = network.predict(features, batch_size=512, verbose=0)
    return keras.ops.convert_to_numpy(model.predictions(raw, data.head))


@pytest.fixture(scope="module")
def of_cancers(cancers: Table) -> keras.Model:
    return fitted(cancers)


@pytest.fixture(scope="module")
def of_penguins(penguins: Table) -> keras.Model:
    return fitted(penguins)


@pytest.mark.slow
def test_a_binary_problem_is_learnt(cancers: Table, of_cancers: keras.Model) -> None:
    features, labels = cancers.test
    assert of_cancers(features).shape == (len(labels), 4, 1)
    probabilities = predicted(of_cancers, cancers, features)
    assert probabilities.shape == (len(labels), 1)
    assert roc_auc_score(labels, probabilities) > 0.98  # the best single column has 0.97


@pytest.mark.slow
def test_a_multiclass_problem_is_learnt_with_missing_numbers_and_categories(
    penguins: Table, of_penguins: keras.Model
) -> None:
    features, labels = penguins.test
    assert of_penguins(features).shape == (len(labels), 4, 3)
    probabilities = predicted(of_penguins, penguins, features)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.mean(probabilities.argmax(axis=1) == labels[:, 0]) > 0.95  # the most frequent species: 0.44


@pytest.mark.slow
def test_a_regression_is_learnt_in_the_label_s_own_unit(diabetics: Table) -> None:
    features, labels = diabetics.test
    values = predicted(fitted(diabetics), diabetics, features)
    assert values.shape == (len(labels), 1)
    assert r2_score(labels, values) > 0.35  # the mean: 0; linear regression: about 0.45


@pytest.mark.slow
def test_the_value_beside_a_missing_mark_means_nothing(penguins: Table, of_penguins: keras.Model) -> None:
    features = {name: values[:8].copy() for name, values in penguins.features.items()}
    for name, other in (("body_mass_g", 0.3), ("body_mass_g", 0.9)):
        features[name][:] = (other, 1.0)
        if other == 0.3:
            before = predicted(of_penguins, penguins, features)
    np.testing.assert_array_equal(predicted(of_penguins, penguins, features), before)
    features["body_mass_g"][:, 1] = 0.0
    assert not np.allclose(predicted(of_penguins, penguins, features), before)


def test_padding_and_the_order_of_a_bag_change_nothing() -> None:
    keras.utils.set_random_seed(1)
    short, long = (
        model.build([model.Ids("words", 50, width)], model.Head("binary", 2), Hyperparameters()) for width in (3, 6)
    )
    long.set_weights(short.get_weights())
    np.testing.assert_allclose(
        short({"words": np.array([[7, 9, 0], [0, 0, 0]])}),
        long({"words": np.array([[0, 9, 0, 7, 0, 0], [0, 0, 0, 0, 0, 0]])}),
        atol=1e-6,
    )


def test_embeddings_have_the_size_that_is_asked_for() -> None:
    inputs: list[model.Number | model.Ids] = [
        model.Ids("usual", 5),
        model.Ids("small", 7, embedding_dim=3),
        model.Ids("as usual", 6, embedding_dim=8),
        model.Ids("bag", 9, 4, embedding_dim=2),
    ]
    made = model.build(inputs, model.Head("binary", 2), Hyperparameters(category_units=8))
    shapes = {layer.name: tuple(layer.embeddings.shape) for layer in made.layers if hasattr(layer, "embeddings")}
    assert shapes == {"categories": (11, 8), "categories_3": (7, 3), "bag_3": (9, 2)}
    ones = {tensor.name: np.ones((1, tensor.shape[1]), "int32") for tensor in made.inputs}
    before = made(ones).numpy()
    for feature in inputs:
        assert (made({**ones, feature.name: 2 * ones[feature.name]}).numpy() != before).any(), feature.name


@pytest.mark.slow
def test_an_absent_category_is_as_if_it_had_no_embedding(penguins: Table, of_penguins: keras.Model) -> None:
    layer = of_penguins.get_layer("categories")
    ids = np.array([[0, 0], [1, 0]])
    embedded = keras.ops.convert_to_numpy(layer(ids))
    assert not embedded[0].any()
    assert embedded[1, 0].any()
    assert not embedded[1, 1].any()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(cancers: Table) -> None:
    first, second = (fitted(cancers, epochs=1).get_weights() for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    keras.utils.set_random_seed(2)
    other_seed = model.build(cancers.inputs, cancers.head, Hyperparameters()).get_weights()
    keras.utils.set_random_seed(1)
    this_seed = model.build(cancers.inputs, cancers.head, Hyperparameters()).get_weights()
    assert any(not np.array_equal(one, other) for one, other in zip(this_seed, other_seed, strict=True))


@pytest.mark.slow
def test_mixed_precision_learns_and_puts_out_float32(cancers: Table) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = fitted(cancers, epochs=10)
    finally:
        keras.config.set_dtype_policy("float32")
    assert network.get_layer("common").compute_dtype == "bfloat16"
    features, labels = cancers.test
    assert keras.backend.standardize_dtype(network(features).dtype) == "float32"
    assert roc_auc_score(labels, predicted(network, cancers, features)) > 0.97


def test_predictions_start_from_the_frequencies(penguins: Table) -> None:
    network = model.build(penguins.inputs, penguins.head, Hyperparameters())
    outputs = network.get_layer("outputs")
    outputs.kernel.assign(keras.ops.zeros_like(outputs.kernel))
    features, _ = penguins.test
    np.testing.assert_allclose(predicted(network, penguins, features)[0], penguins.head.frequencies, atol=1e-5)


@pytest.mark.slow
def test_calibration_lowers_the_log_loss_and_is_saved_with_the_model(cancers: Table, tmp_path: Path) -> None:
    network = fitted(cancers, epochs=10)
    outputs = network.get_layer("outputs")
    outputs.set_weights([6 * weight for weight in outputs.get_weights()])  # far too sure of itself
    features, labels = cancers.evaluate
    raw = network.predict(features, verbose=0)
    before = calibration.log_loss(raw, labels, cancers.head)
    probability = predicted(network, cancers, features)[:, 0].astype(float)
    assert before == pytest.approx(sklearn.metrics.log_loss(labels[:, 0], probability), rel=1e-3)

    temperature = calibration.calibrate(network, cancers.head, raw, labels)
    assert temperature > 1.2
    test_features, test_labels = cancers.test
    after = network.predict(test_features, verbose=0)
    np.testing.assert_allclose(network.predict(features, verbose=0), raw / temperature, rtol=1e-4, atol=1e-5)
    assert calibration.log_loss(raw / temperature, labels, cancers.head) < before
    assert calibration.log_loss(after, test_labels, cancers.head) < calibration.log_loss(
        after * temperature, test_labels, cancers.head
    )

    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(test_features, verbose=0), after, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        list(loaded.evaluate(test_features, test_labels, verbose=0, return_dict=True).values()),
        list(network.evaluate(test_features, test_labels, verbose=0, return_dict=True).values()),
        rtol=1e-4,
    )


def test_a_few_rows_without_an_error_do_not_make_a_model_sure(cancers: Table) -> None:
    network = model.build(cancers.inputs, cancers.head, Hyperparameters())
    labels = np.arange(20)[:, None] % 2
    raw = np.repeat(4.0 * labels[:, None] - 2.0, 4, axis=1)
    assert 0.5 < calibration.calibrate(network, cancers.head, raw, labels) < 0.8
    assert calibration.calibrate(network, cancers.head, np.tile(raw, (500, 1, 1)), np.tile(labels, (500, 1))) < 0.3


@pytest.mark.slow
def test_class_weights_leave_the_probabilities_those_of_the_data() -> None:
    """One feature that says nothing: the best prediction is the share of the label, whatever the classes weigh."""
    labels = (np.arange(2000) % 20 == 0).astype("float32")[:, None]
    head = model.Head("binary", 2, frequencies=(0.95, 0.05))
    features = {"x": np.zeros((2000, 2), "float32")}
    keras.utils.set_random_seed(1)
    network = model.build([model.Number("x")], head, Hyperparameters.for_rows(2000, class_weight=1.0, epochs=20))
    network.get_layer("outputs").bias.assign(keras.ops.zeros((4, 1)))  # a half, to be unlearnt
    network.fit(features, labels, batch_size=32, epochs=20, verbose=0)
    probability = keras.ops.convert_to_numpy(model.predictions(network(features), head))[0, 0]
    assert probability == pytest.approx(0.05, abs=0.02)


TRAIN_ELSEWHERE = """
import pickle, sys
import keras, numpy as np
from penstock.trainer.network import model

folder, backend = sys.argv[1:]
assert keras.backend.backend() == backend
assert backend == "tensorflow" or "tensorflow" not in sys.modules
keras.utils.set_random_seed(1)
network = model.build(*pickle.load(open(folder + "/build.pickle", "rb")))
network.load_weights(folder + "/start.weights.h5")
features = dict(np.load(folder + "/features.npz"))
labels = features.pop("label")
start = network.predict(features, verbose=0)
network.fit(features, labels, batch_size=32, epochs=20, verbose=0)
network.save(folder + "/trained.keras")
np.savez(folder + "/raw.npz", start=start, trained=network.predict(features, verbose=0))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_backend_trains_it_and_what_it_saves_opens_here(
    penguins: Table, tmp_path: Path, python: str, backend: str
) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    features, labels = penguins.train
    keras.utils.set_random_seed(1)
    of_build = (penguins.inputs, penguins.head, Hyperparameters.for_rows(len(labels), epochs=20))
    (tmp_path / "build.pickle").write_bytes(pickle.dumps(of_build))
    start = model.build(*of_build)
    start.save_weights(tmp_path / "start.weights.h5")
    np.savez(tmp_path / "features.npz", label=labels, **features)
    done = subprocess.run(
        [python if backend == "tensorflow" else sys.executable, "-c", TRAIN_ELSEWHERE, str(tmp_path), backend],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    raw = np.load(tmp_path / "raw.npz")
    np.testing.assert_allclose(raw["start"], start.predict(features, verbose=0), atol=1e-4)
    # PyTorch's optimizers are classes of their own, which only that backend has.
    trained = keras.saving.load_model(tmp_path / "trained.keras", compile=False)
    np.testing.assert_allclose(raw["trained"], trained.predict(features, verbose=0), atol=1e-4)
    test_features, test_labels = penguins.test
    probabilities = predicted(trained, penguins, test_features)
    assert np.mean(probabilities.argmax(axis=1) == test_labels[:, 0]) > 0.95


@pytest.mark.parametrize("rows", [1, 30, 344, 10_000, 218_000, 10_000_000])
def test_defaults_fit_the_number_of_rows(rows: int) -> None:
    defaults = Hyperparameters.for_rows(rows)
    assert min(rows, 32) <= defaults.batch_size <= min(rows, 512), "more than there are is what a person asks for"
    assert defaults.decay_steps == defaults.epochs * -(-rows // defaults.batch_size)


def test_hyperparameters_are_read_as_a_mapping_or_as_kerastuner_writes_them() -> None:
    plain = Hyperparameters.from_mapping({"width": 64, "learning_rate": 1}, rows=1000)
    assert (plain.width, plain.learning_rate, plain.batch_size) == (64, 1.0, 32)
    tuned = {"space": [], "values": {"width": 64.0, "learning_rate": 1.0, "tuner/epochs": 3}}
    assert Hyperparameters.from_mapping(tuned, rows=1000) == plain


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ({"widht": 64}, "no hyperparameter 'widht' in the default model; did you mean 'width'?"),
        ({"width": 0}, "hyperparameter width: expected at least 1, received 0"),
        ({"width": 1.5}, "hyperparameter width: expected a whole number, received 1.5"),
        ({"dropout": "much"}, "hyperparameter dropout: expected a number, received 'much'"),
        ({"learning_rate": 0.0}, "hyperparameter learning_rate: expected above 0, received 0.0"),
    ],
)
def test_a_wrong_hyperparameter_is_named(mapping: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("?", r"\?")):
        Hyperparameters.from_mapping(mapping, rows=100)


def test_a_model_without_features_is_refused() -> None:
    with pytest.raises(DataError, match="no feature to learn from"):
        model.build([], model.Head("binary", 2), Hyperparameters())

"""The trivial model is scikit-learn's, whatever the shape of the labels and however they are cut into shards."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from penstock.components.evaluator.trivial import LabelTotals, TrivialModel

GENERATOR = np.random.default_rng(3)
WEIGHTS = GENERATOR.uniform(0, 3, 50)


def learned(labels: np.ndarray, width: int, weights: np.ndarray | None = None, cut: int = 17) -> TrivialModel:
    total, rest = LabelTotals(width), LabelTotals(width)
    total.add(labels[:cut], None if weights is None else weights[:cut])
    rest.add(labels[cut:], None if weights is None else weights[cut:])
    total.merge(rest)
    model = total.model()
    assert model is not None
    return model


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("shape", [(50,), (50, 1)])
def test_the_mean_of_a_regression(weights: np.ndarray | None, shape: tuple[int, ...]) -> None:
    values = GENERATOR.normal(180_000, 79_000, 50)
    oracle = DummyRegressor().fit(np.zeros((50, 1)), values, weights)
    predictions = learned(values.astype(np.float32).reshape(shape), 1, weights).predictions(4)
    np.testing.assert_allclose(predictions[:, 0], oracle.predict(np.zeros((4, 1))), rtol=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("one_hot", [False, True])
def test_the_shares_of_classes(weights: np.ndarray | None, one_hot: bool) -> None:
    classes = np.append(np.arange(3), GENERATOR.choice(3, 47, p=[0.2, 0.7, 0.1]))
    oracle = DummyClassifier(strategy="prior").fit(np.zeros((50, 1)), classes, weights)
    predictions = learned(np.eye(3)[classes] if one_hot else classes, 3, weights).predictions(4)
    np.testing.assert_allclose(predictions, oracle.predict_proba(np.zeros((4, 1))), rtol=1e-12)
    assert predictions[0].argmax() == 1


def test_the_probability_of_a_binary_label() -> None:
    assert learned(np.repeat([0, 1], [40, 10])[:, None], 1).predictions(2).tolist() == [[0.2], [0.2]]


def test_what_is_no_label_counts_for_nothing() -> None:
    assert learned(np.array([1.0, np.nan, 3.0]), 1).prediction.tolist() == [2.0]
    assert learned(np.array([0, -1, 1, 1, 9]), 2).prediction.tolist() == [1 / 3, 2 / 3]


def test_nothing_is_learnt_from_nothing() -> None:
    empty = LabelTotals(1)
    empty.add(np.array([np.nan]))
    assert empty.model() is None

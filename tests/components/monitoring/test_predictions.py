"""A model's outputs as columns: of models without code, and of anybody's own."""

import math

import pyarrow as pa
import pytest

from penstock.components.monitoring.predictions import Predictions
from penstock.core.labels import Label

FLOATS = pa.list_(pa.float32())


@pytest.mark.parametrize(
    ("label", "outputs", "expected"),
    [
        (
            Label("late", "late_xf", "binary", (0, 1)),
            {"probabilities": pa.array([[0.25], [0.75]], FLOATS)},
            {"prediction": [[b"0"], [b"1"]], "probability": [[0.25], [0.75]]},
        ),
        (
            Label("kind", "kind_xf", "multiclass", ("a", "b", "c")),
            {"scores": pa.array([[0.25, 0.5, 0.25], [0.75, 0.0, 0.25]], FLOATS), "classes": pa.array([[b"a"], [b"a"]])},
            {"prediction": [[b"b"], [b"a"]], "probability": [[0.5], [0.75]]},
        ),
        (
            Label("fare", "fare_xf", "regression"),
            {"predictions": pa.array([1.5, 2.5], pa.float32())},
            {"prediction": [[1.5], [2.5]]},
        ),
        (
            None,
            {"vector": pa.array([[1.0, 3.0], [2.0, 0.0]], FLOATS), "name": pa.array([b"x", b"y"])},
            {
                "name": [[b"x"], [b"y"]],
                "vector: place of the greatest": [[b"1"], [b"0"]],
                "vector: the greatest": [[3.0], [2.0]],
            },
        ),
    ],
    ids=["binary", "multiclass", "regression", "own"],
)
def test_outputs_become_columns(label: Label | None, outputs: dict[str, pa.Array], expected: object) -> None:
    assert Predictions(label).columns(outputs).to_pydict() == expected


def test_text_is_text_whatever_it_says() -> None:
    codes = {"code": pa.array([b"1", b"2"])}
    assert Predictions().columns(codes).to_pydict() == {"code": [[b"1"], [b"2"]]}


def test_nan_is_of_no_class() -> None:
    two = Predictions(Label("late", "late_xf", "binary", ("no", "yes")))
    made = two.columns({"probabilities": pa.array([[math.nan], [0.75], None], FLOATS)})
    assert made.column("prediction").to_pylist() == [None, [b"yes"], None]
    scores = pa.array([[math.nan, 0.5, 0.25], [0.75, 0.0, 0.25]], FLOATS)
    several = Predictions(Label("kind", "kind_xf", "multiclass", ("a", "b", "c"))).columns({"scores": scores})
    assert several.to_pydict() == {"prediction": [None, [b"a"]], "probability": [None, [0.75]]}
    own = Predictions().columns({"vector": scores})
    assert own.to_pydict() == {"vector: place of the greatest": [None, [b"0"]], "vector: the greatest": [None, [0.75]]}
    other = pa.array([[0.0, 0.0, 0.0, 1.0]], FLOATS)  # of a version with another class
    assert Predictions(Label("k", "k_xf", "multiclass", ("a", "b", "c"))).columns({"scores": other}).num_columns == 0


def test_outputs_that_are_not_there_are_no_columns() -> None:
    other = {"logits": pa.array([[0.5]], FLOATS)}
    for problem in ("binary", "multiclass", "regression"):
        assert Predictions(Label("y", "y_xf", problem, ("a", "b"))).columns(other).num_columns == 0  # type: ignore[arg-type]

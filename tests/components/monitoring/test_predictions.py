"""A model's outputs as columns: of models without code, and of anybody's own."""

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


def test_outputs_that_are_not_there_are_no_columns() -> None:
    other = {"logits": pa.array([[0.5]], FLOATS)}
    for problem in ("binary", "multiclass", "regression"):
        assert Predictions(Label("y", "y_xf", problem, ("a", "b"))).columns(other).num_columns == 0  # type: ignore[arg-type]

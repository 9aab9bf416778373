"""Permutation importance and partial dependence of functions whose answers are known."""

import numpy as np
import pyarrow as pa
import pytest

from penstock.components.evaluator.summary import permutation


def lists(values: list[object], kind: pa.DataType) -> pa.Array:
    return pa.array([None if value is None else [value] for value in values], pa.large_list(kind))


@pytest.fixture
def rows() -> pa.RecordBatch:
    generator = np.random.default_rng(0)
    columns = {
        "size": lists(generator.normal(10, 2, 500).tolist(), pa.float32()),
        "year": lists([2007 + row % 3 for row in range(500)], pa.int64()),
        "island": lists(
            [None if row % 10 == 9 else b"Biscoe" if row % 2 else b"Dream" for row in range(500)], pa.binary()
        ),
        "words": pa.array([[b"a", b"b"]] * 500, pa.large_list(pa.binary())),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def numbers(batch: pa.RecordBatch, column: str) -> np.ndarray:
    return batch.column(column).flatten().to_numpy().astype(np.float64)


def twice_the_size(batch: pa.RecordBatch) -> np.ndarray:
    return 2 * numbers(batch, "size") + 1


def test_only_what_a_model_reads_changes_its_predictions(rows: pa.RecordBatch) -> None:
    asked = []

    def predict(batch: pa.RecordBatch) -> np.ndarray:
        asked.append(batch.num_rows)
        return twice_the_size(batch)

    permuted = permutation.predict_permuted(predict, rows, ["size", "island", "words"], 20, seed=1)

    plain = twice_the_size(rows)
    assert permuted.shape == (3, 20, 500, 1)
    assert np.array_equal(permuted[1:, ..., 0], np.broadcast_to(plain, (2, 20, 500)))
    for repetition in permuted[0, ..., 0]:
        assert not np.array_equal(repetition, plain)
        assert np.array_equal(np.sort(repetition), np.sort(plain))
    # Of independent values the expected square of a difference is twice their variance.
    assert np.mean((permuted[0, ..., 0] - plain) ** 2) == pytest.approx(2 * np.var(plain), rel=0.05)
    assert len(asked) == 2, "60 copies of 500 rows are two calls"
    again = permutation.predict_permuted(predict, rows, ["size", "island", "words"], 20, seed=1)
    assert np.array_equal(again, permuted)
    other = permutation.predict_permuted(predict, rows, ["size", "island", "words"], 20, seed=2)
    assert not np.array_equal(other, permuted)


def test_an_effect_is_the_mean_prediction_at_each_value(rows: pa.RecordBatch) -> None:
    grids = [grid for name in rows.schema.names if (grid := permutation.grid(rows, name))]

    size, year, island = permutation.effects(twice_the_size, rows, grids)

    assert size["predictions"] == pytest.approx([2 * value + 1 for value in size["values"]])
    assert len(size["values"]) == 10
    assert sum(size["shares"]) == pytest.approx(1)
    assert (year["column"], year["values"]) == ("year", [2007, 2008, 2009])
    assert year["shares"] == pytest.approx([0.334, 0.334, 0.332])
    assert year["predictions"] == pytest.approx([np.mean(twice_the_size(rows))] * 3)
    assert (island["values"], island["shares"]) == (["Dream", "Biscoe"], [0.5, 0.4]), "a tenth has none"


def test_of_several_classes_the_effect_is_on_the_one_that_moves_most(rows: pa.RecordBatch) -> None:
    def predict(batch: pa.RecordBatch) -> np.ndarray:
        late = (numbers(batch, "year") - 2007) / 2
        return np.stack([0.5 - late / 10, 0.3 - late / 5, 0.2 + late * 0.3], axis=1)

    (effect,) = permutation.effects(predict, rows, [permutation.grid(rows, "year")])

    assert effect["predicted_class"] == 2
    assert effect["predictions"] == pytest.approx([0.2, 0.35, 0.5])


def test_a_column_of_one_value_or_of_lists_has_no_effect(rows: pa.RecordBatch) -> None:
    constant = pa.RecordBatch.from_arrays([lists([1] * 5, pa.int64()), pa.nulls(5)], ["one", "none"])
    assert [permutation.grid(constant, name) for name in ("one", "none")] == [None, None]
    assert permutation.grid(rows, "words") is None


def test_numbers_near_the_ends_of_their_type_have_shares() -> None:
    largest = np.iinfo(np.int64).max
    batch = pa.RecordBatch.from_arrays([lists([largest - 2, largest - 2, largest, -largest], pa.int64())], ["id"])
    grid = permutation.grid(batch, "id")
    assert grid is not None
    assert grid.values.to_pylist() == [[-largest], [largest - 2], [largest]]
    assert grid.shares == [0.25, 0.5, 0.25]

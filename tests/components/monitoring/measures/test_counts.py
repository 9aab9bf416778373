import math
import pickle

import numpy as np
import pyarrow as pa
import pytest

from penstock.components.monitoring.measures.bins import GROUPS
from penstock.components.monitoring.measures.counts import MOST_VALUES
from penstock.components.monitoring.measures.reference import Reference
from penstock.core.errors import DataError

ROWS = 300


def batch(seed: int, rows: int = ROWS) -> pa.RecordBatch:
    generator = np.random.default_rng(seed)
    numbers = [None if draw < 0.1 else [draw] for draw in generator.random(rows)]
    names = [
        [f"{draw}".encode() for draw in generator.integers(0, 5, count)] for count in generator.integers(0, 3, rows)
    ]
    return pa.RecordBatch.from_arrays(
        [pa.array(numbers, pa.large_list(pa.float32())), pa.array(names, pa.large_list(pa.large_binary()))],
        ["number", "names"],
    )


def test_shards_merged_are_the_whole() -> None:
    reference = Reference.of([batch(1)])
    whole, first, second = (reference.window() for _ in range(3))
    for part in (batch(2), batch(3)):
        whole.add(part)
    first.add(batch(2))
    second.add(batch(3))
    first.merge(pickle.loads(pickle.dumps(second)))
    assert first.rows == whole.rows == 2 * ROWS
    assert (first.joint == whole.joint).all()
    for name, counts in whole.features.items():
        assert (first.features[name].values == counts.values).all()
        assert (first.features[name].lengths == counts.lengths).all()


def test_rows_are_counted_by_how_many_values_they_have() -> None:
    rows = batch(1)
    counts = Reference.of([rows]).counts.features["names"]
    expected = np.bincount([len(row) for row in rows.column("names").to_pylist()], minlength=MOST_VALUES + 1)
    assert counts.lengths.tolist() == expected.tolist()
    assert counts.values.sum() == (expected * np.arange(len(expected))).sum()
    assert counts.missing == expected[0]
    assert counts.rows == ROWS


def test_none_empty_lists_and_nan_are_missing() -> None:
    column = pa.array([None, [], [math.nan], [1.0, math.nan], [2.0]], pa.large_list(pa.float64()))
    counts = Reference.of([pa.RecordBatch.from_arrays([column], ["x"])]).counts.features["x"]
    assert counts.lengths[:3].tolist() == [3, 2, 0]
    assert counts.values.sum() == 2
    names = pa.array([[None], [b"a", None], [b"a"]], pa.large_list(pa.large_binary()))
    counts = Reference.of([pa.RecordBatch.from_arrays([names], ["x"])]).counts.features["x"]
    assert counts.lengths[:3].tolist() == [1, 2, 0]
    assert counts.values.tolist() == [2, 0]


def test_a_column_that_is_not_there_is_missing_in_every_row() -> None:
    counts = Reference.of([batch(1)]).window()
    counts.add(batch(2).select(["names"]))
    counts.add(pa.RecordBatch.from_arrays([pa.nulls(5)], ["number"]))
    assert counts.features["number"].missing == ROWS + 5
    assert counts.features["names"].rows == ROWS + 5
    assert counts.rows == ROWS + 5


def test_a_batch_of_another_type_counts_in_no_column() -> None:
    counts = Reference.of([batch(1).select(["names", "number"])]).window()
    names = batch(2).column("names")
    with pytest.raises(DataError, match="feature 'number'"):
        counts.add(pa.RecordBatch.from_arrays([names, names], ["names", "number"]))
    assert counts.rows == sum(one.rows for one in counts.features.values()) == 0


def test_joint_counts_are_a_cross_table_of_groups() -> None:
    rows = batch(1, 1000)
    reference = Reference.of([rows])
    groups = []
    for name in ("number", "names"):
        bins = reference.bins[name]
        first = [row[:1] if row else [] for row in rows.column(name).to_pylist()]
        placed = [bins.place(pa.array(row, rows.column(name).type.value_type)) for row in first]
        groups.append([bins.groups[place[0]] if len(place) else GROUPS - 1 for place in placed])
    table = np.zeros((GROUPS, GROUPS), int)
    np.add.at(table, tuple(groups), 1)
    assert (reference.counts.joint[:GROUPS, GROUPS:] == table).all()
    assert (reference.counts.joint == reference.counts.joint.T).all()

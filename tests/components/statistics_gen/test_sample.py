"""A sample of rows: each as likely as any other, and the same however the rows are cut."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from penstock.components.statistics_gen.sample import ROWS, Sample


def _batches(first: int, rows: int, size: int = 4000) -> Iterator[pa.RecordBatch]:
    for start in range(first, first + rows, size):
        numbers = [[number] for number in range(start, min(start + size, first + rows))]
        yield pa.RecordBatch.from_pydict({"row": numbers, "image": [[b"x" * 1000]] * len(numbers)})


def _of(first: int, rows: int, seed: int = 0, size: int = 4000) -> Sample:
    sample = Sample(seed)
    assert sum(batch.num_rows for batch in sample.passing(_batches(first, rows, size))) == rows
    return sample


def _rows(sample: Sample) -> list[int]:
    return [row for (row,) in sample.table()["row"].to_pylist()]


def test_few_rows_are_all_there_and_wide_columns_are_not() -> None:
    sample = _of(0, 5000)
    assert _rows(sample) == list(range(5000))
    assert sample.table().column_names == ["row"]


def test_of_many_rows_each_is_as_likely() -> None:
    merged = _of(0, 30_000, seed=1).merge(_of(30_000, 10_000, seed=2))
    rows = np.array(_rows(merged))
    assert len(rows) == len(set(rows)) == ROWS
    shares = np.histogram(rows, bins=4, range=(0, 40_000))[0] / ROWS
    np.testing.assert_allclose(shares, 0.25, atol=0.02)


def test_the_same_rows_give_the_same_sample_however_they_are_cut() -> None:
    assert _rows(_of(0, 20_000)) == _rows(_of(0, 20_000, size=1700)) == _rows(_of(0, 20_000, size=20_000))


def _texts(*lengths: int) -> Sample:
    """A sample of batches of a hundred rows, with texts of these lengths."""
    sample = Sample()
    batches = [{"row": [[1]] * 100, "text": [[b"x" * length]] * 100} for length in lengths]
    list(sample.passing(pa.RecordBatch.from_pydict(batch) for batch in batches))
    return sample


def test_a_column_that_was_once_too_wide_is_left_out_of_all_rows() -> None:
    narrow, wide, around = ["row", "text"], ["row"], _texts(200, 300)
    assert around.table().column_names == narrow, "250 on average"
    assert around.table()["text"].null_count == 0
    for sample in (
        _texts(200, 400),
        _texts(400, 1, 1, 1),
        _texts(10).merge(_texts(400)),
        _texts(400).merge(_texts(10)),
    ):
        assert sample.table().column_names == wide
        assert sample.table().num_rows == len(sample.table()["row"]) > 0


def test_columns_that_some_batches_lack_are_null_there() -> None:
    sample = Sample()
    list(sample.passing(iter([pa.RecordBatch.from_pydict({"a": [[1]]}), pa.RecordBatch.from_pydict({"b": [["x"]]})])))
    assert sample.table().to_pylist() == [{"a": [1], "b": None}, {"a": None, "b": ["x"]}]


def test_no_rows() -> None:
    assert Sample().merge(Sample()).table().num_rows == 0

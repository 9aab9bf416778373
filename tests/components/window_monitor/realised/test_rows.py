"""Outputs of a window's rows."""

import pyarrow as pa

from penstock.components.window_monitor.realised.rows import regular


def test_rows_have_an_output_where_most_have_none() -> None:
    column = pa.array([None, None, [], [0.5], [0.1, 0.2], [0.7]], pa.list_(pa.float32()))
    assert regular(column).tolist() == [False, False, False, True, False, True]
    assert regular(column[:3]).tolist() == [False] * 3

"""Columns of text below each other."""

from penstock.core.text.aligned import aligned

ROWS = [("metric", "first", "second"), ("auc", "0.9", "")]


def test_columns_stand_below_each_other() -> None:
    assert aligned(ROWS) == ["metric  first  second", "auc     0.9"]
    assert aligned(ROWS[::-1], right=True) == ["auc       0.9", "metric  first  second"]
    assert aligned([]) == []

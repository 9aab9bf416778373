"""Spans as numbers and as dates."""

import datetime

import pytest

from penstock.core import span_numbers


def test_dates_are_days_since_1970() -> None:
    assert span_numbers.of_text("1970-01-02") == 1
    assert span_numbers.of_text("2026-01-31") == (datetime.date(2026, 1, 31) - datetime.date(1970, 1, 1)).days == 20484
    assert span_numbers.of_text("1969-12-31") == -1
    assert [span_numbers.of_text(text) for text in ("2026-02-30", "20260131", "2026-W05-1", "x")] == [None] * 4
    assert span_numbers.of_digits(20260131) == 20484
    assert span_numbers.of_digits(20484) is None, "a day by its number"
    assert span_numbers.of_digits(20260230) is None
    assert span_numbers.text(20484, dated=True) == "2026-01-31"
    assert span_numbers.text(20484, dated=False) == "20484"
    assert span_numbers.text(-(10**9), dated=True) == "day -1000000000", "a range may begin before all dates"


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([3], "3"),
        ([1, 2, 10], "1, 2, 10"),
        ([3, 1, 2], "1 to 3"),
        ([1, 2, 3, 7, 8, 9], "1 to 3, 7 to 9"),
        (range(0, 40, 2), "0, 2, 4, 13 more, 32, 34, 36, 38"),
        (range(5000), "0 to 4999"),
        (range(0, 16, 2), "0, 2, 4, 6, 8, 10, 12, 14"),
    ],
)
def test_spans_that_follow_one_another_are_one_part(spans: list[int], expected: str) -> None:
    assert span_numbers.listed(spans, dated=False) == expected


def test_versions_are_told_where_the_pattern_has_them() -> None:
    versions = {20484: 2, 20485: 2, 20486: 2, 20487: 1, 20488: 1, 20490: 1}
    assert span_numbers.described(versions, dated=True, versioned=True) == (
        "2026-01-31 to 2026-02-02 (version 2), 2026-02-03 (version 1), 2026-02-04 (version 1), 2026-02-06 (version 1)"
    )
    assert span_numbers.described({1: 0}, dated=False, versioned=False) == "1"

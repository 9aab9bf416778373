"""Numbers as people write them."""

from datetime import datetime

import pytest

from penstock.core.page import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), "n/a"),
        (float("-inf"), "-∞"),
        (0.0, "0"),
        (0.87349, "0.873"),
        (0.5, "0.5"),
        (0.9999, "1"),
        (9.996, "10"),
        (68123.4, "68,100"),
        (-1234567, "-1,230,000"),
        (0.0000123, "0.0000123"),
        (1.234e-9, "1.23e-09"),
        (4.6e19, "4.6e+19"),
        (1e-8, "1e-08"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert numbers.number(value) == text


def test_differences_have_a_sign() -> None:
    assert [numbers.difference(value) for value in (0.0123, 0.0, -0.5, None)] == ["+0.0123", "0", "-0.5", ""]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0%"),
        (0.00001, "<0.01%"),
        (0.0001, "<0.1%"),
        (0.1234, "12.3%"),
        (0.5, "50%"),
        (0.9994, "99.9%"),
        (0.99999, ">99.9%"),
        (1.0, "100%"),
        (None, ""),
    ],
)
def test_only_all_is_all_and_only_none_is_none(share: float | None, text: str) -> None:
    assert numbers.percentage(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.416, "0.42 s"),
        (0.999, "1.0 s"),
        (2.44, "2.4 s"),
        (9.97, "10 s"),
        (59.7, "1 min"),
        (192, "3 min 12 s"),
        (3599.8, "1 h"),
        (7500, "2 h 5 min"),
        (86399, "1 day"),
        (273600, "3 days 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_counts_and_dates() -> None:
    assert [numbers.count(1234567), numbers.count(None)] == ["1,234,567", ""]
    assert numbers.day(datetime(2026, 11, 3)) == "3 November 2026"
    assert numbers.date(datetime(2026, 11, 3, 9, 5)) == "3 November 2026, 09:05"
    begin = datetime(2026, 11, 3, 9, 5, 7)
    day = numbers.period(begin, datetime(2026, 11, 4, 9, 5, 7))
    assert day == "3 November 2026, 09:05 to 4 November 2026, 09:05"
    seconds = numbers.period(begin, datetime(2026, 11, 3, 9, 5, 9))
    assert seconds == "3 November 2026, 09:05:07 to 3 November 2026, 09:05:09"


def test_years() -> None:
    assert numbers.number(2013.25, 5, grouped=False) == "2013.2"
    assert numbers.number(1234567, 7, grouped=False) == "1234567"
    assert [numbers.are_years(*bounds) for bounds in ((1850, 2026), (0, 2000), (1990, 3000))] == [True, False, False]

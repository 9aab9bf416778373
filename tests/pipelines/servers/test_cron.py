"""Which cron expressions pass; the cases are those of robfig/cron's own parser."""

import pytest

from penstock.core.errors import ConfigError
from penstock.pipelines.servers import cron


@pytest.mark.parametrize(
    "expression",
    ["* * * * * *", "0 0 6 * * ?", "0 */15 8-18 1,15 JAN-mar mon-FRI", "59 59 23 31 12 6", "5/15 10-50/10 0 1 1 0"],
)
def test_what_a_server_takes_passes(expression: str) -> None:
    cron.check(expression, cron.SIX_FIELDS)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("60 0 6 * * *", "second: expected 0 to 59, .* received '60'"),
        ("0 60 6 * * *", "minute: expected 0 to 59"),
        ("0 0 24 * * *", "hour: expected 0 to 23"),
        ("0 0 6 0 * *", "day: expected 1 to 31, .* received '0'"),
        ("0 0 6 * 13 *", "month: expected 1 to 12 or JAN to DEC"),
        ("0 0 6 * * 7", "weekday: expected 0 to 6 or SUN to SAT"),
        ("0 0 6 * * 5-1", "weekday: .* received '5-1'"),
        ("0 0 6 1,,2 * *", "day: .* received ''"),
        ("0 */0 6 * * *", "minute: .* received '\\*/0'"),
        ("0 0 six * * *", "hour: .* received 'six'"),
        ("0 0 -6 * * *", "hour: .* received '-6'"),
        ("0 0 1-2-3 * * *", "hour: .* received '1-2-3'"),
        ("0 0 mon * * *", "hour: .* received 'mon'"),
    ],
)
def test_the_field_that_does_not_fit_is_named(expression: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        cron.check(expression, cron.SIX_FIELDS)


def test_vertex_ai_counts_sunday_twice() -> None:
    cron.check("0 6 * * 7", cron.FIVE_FIELDS)
    with pytest.raises(ConfigError, match="weekday"):
        cron.check("0 6 * * 8", cron.FIVE_FIELDS)


@pytest.mark.parametrize("expression", ["0 0 6 31 2 *", "0 0 6 30 FEB ?", "0 0 6 31 4,6,9-11/2 *", "0 0 6 30/1 2 *"])
def test_a_day_that_never_comes(expression: str) -> None:
    _, _, _, day, month, _ = expression.split()
    with pytest.raises(ConfigError, match=f"it would never fire: month {month} has no day {day}"):
        cron.check(expression, cron.SIX_FIELDS)


@pytest.mark.parametrize("expression", ["0 0 6 29 2 *", "0 0 6 31 2,3 *", "0 0 6 28,31 2 *", "0 0 6 31 2 MON"])
def test_a_day_that_comes_now_and_then(expression: str) -> None:
    """With a weekday, either of them is enough."""
    cron.check(expression, cron.SIX_FIELDS)

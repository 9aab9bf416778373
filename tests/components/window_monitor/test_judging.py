"""Limits of metrics, as a person writes them."""

import pytest

from penstock.components.window_monitor.judging import Limits
from penstock.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"limits": ["auc"]}', r"performance\.limits: expected an object"),
        ('{"limits": {"accuracy": "0.8"}}', r"performance\.accuracy: expected a number or null"),
        ('{"estimates_alert": "no"}', r"performance\.estimates_alert: expected true or false"),
    ],
)
def test_what_are_no_limits_is_told(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Limits.read(text, None)


def test_estimates_alert_where_that_is_asked_for() -> None:
    assert Limits.read('{"estimates_alert": true}', None).estimates_alert
    assert not Limits.read("", None).estimates_alert

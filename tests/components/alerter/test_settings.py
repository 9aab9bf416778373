"""What a person configures, and the sentence for each mistake."""

import json
from typing import Any

import pytest

from penstock.components.alerter import settings
from penstock.components.alerter.settings import Log, Settings
from penstock.core.errors import ConfigError

EMAIL = {"host": "mail.example.com", "sender": "a@example.com", "to": ["b@example.com"]}


def test_without_settings_the_log_is_told() -> None:
    assert settings.read("") == Settings()
    assert settings.read("").channels["log"].receivers == {"log": Log()}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"open": 1}, "alerts.open: unknown key 'open'; "),
        ({"open_after": 0}, "alerts.open_after: expected 1 or more, received 0"),
        ({"open_after": "soon"}, "alerts.open_after: Input should be a valid integer"),
        ({"rate_limit": 0}, "alerts.rate_limit: expected 1 or more, received 0"),
        ({"close_at": 1.5}, "alerts.close_at: expected a share of the threshold, above 0 and at most 1, received 1.5"),
        ({"warning_from": 0}, "alerts.warning_from: expected a number above 0, received 0"),
        ({"warning_from": 3}, "alerts.critical_from: expected warning_from (3) or more, received 2"),
        (
            {"quiet_hours": {"begin": "25:00", "end": "07:00"}},
            "alerts.quiet_hours.begin: Input should be",
        ),
        ({"quiet_hours": {"begin": "22:00"}}, "alerts.quiet_hours.end is missing"),
        ({"quiet_hours": {"begin": "22:00Z", "end": "07:00"}}, "alerts.quiet_hours: expected times such as 22:00, and"),
        ({"quiet_hours": {"begin": "07:00", "end": "07:00"}}, "alerts.quiet_hours: expected begin and end to differ"),
        (
            {"quiet_hours": {"begin": "22:00", "end": "07:00", "time_zone": "Europe/Paname"}},
            "alerts.quiet_hours.time_zone: expected a name such as Europe/Berlin, received 'Europe/Paname'",
        ),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        settings.read(json.dumps(values))
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("channel", "sentence"),
    [
        ({}, "expected one of log, webhook, slack, email, pagerduty, alertmanager, received none"),
        (
            {"log": {}, "slack": {"url_env": "X"}},
            "expected one of log, webhook, ",
        ),
        ({"slak": {}}, "slak: unknown key 'slak'; did you mean 'slack'?"),
        ({"severity": "high", "log": {}}, "severity: Input should be 'info', 'warning' or 'critical', received 'high'"),
        (
            {"slack": {"url": "https://hooks.slack.com/services/x"}},
            "slack.url: the address is a secret: expected",
        ),
        ({"slack": {}}, "slack: expected url_env or url_file, which says where the secret is"),
        (
            {"slack": {"url_env": "A", "url_file": "/a"}},
            "slack: expected one of url_env, url_file, ",
        ),
        ({"webhook": {"url": "ftp://example.com"}}, "webhook.url: expected an address that begins with http://"),
        (
            {"webhook": {"url": "https://a:hunter2@example.com"}},
            "webhook.url: who sees the pipeline sees a",
        ),
        ({"webhook": {"url": "https://example.com", "tokn_env": "A"}}, "webhook.tokn_env: unknown key 'tokn_env'; did"),
        ({"pagerduty": {}}, "pagerduty: expected routing_key_env or routing_key_file, which says where the secret is"),
        ({"email": EMAIL | {"to": []}}, "email.to: expected at least one address"),
        ({"email": EMAIL | {"to": ["b"]}}, "email: expected addresses such as team@example.com, received 'b'"),
        ({"email": EMAIL | {"sender": "a\n@b.com"}}, "email: expected addresses such as team@example.com, received"),
        ({"email": EMAIL | {"security": "ssl"}}, "email.security: expected starttls, tls, none, received 'ssl'"),
        ({"email": EMAIL | {"user": "a"}}, "email: expected both user and password_env (or password_file), or neither"),
        (
            {"email": EMAIL | {"user": "a", "password_env": "B", "security": "none"}},
            "email.security: expected starttls or tls: ",
        ),
        ({"email": {"host": "a"}}, "email.sender is missing"),
        ({"email": EMAIL | {"port": 70000}}, "email.port: expected a port up to 65535, received 70000"),
        ({"log": {"path": "gs://bucket/alerts.jsonl"}}, "log.path: expected the path of a file, received 'gs://bucket"),
        ({"alertmanager": {"url": "http://a", "user": "b"}}, "alertmanager: expected both user and password_env"),
        ({"alertmanager": {}}, "alertmanager.url is missing"),
    ],
)
def test_a_channel_that_cannot_be_told_is_named(channel: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        settings.read(json.dumps({"channels": {"team": channel}}))
    assert str(error.value).removeprefix("alerts.channels.team").lstrip(".: ").startswith(sentence)
    assert "hunter2" not in str(error.value)

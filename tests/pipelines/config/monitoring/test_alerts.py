"""What a person writes of alerts is what the Alerter is told."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from penstock.components.alerter import settings
from penstock.pipelines.config.monitoring import alerts
from penstock.pipelines.config.monitoring.alerts import Alerts

RECORDS = ("Log", "Webhook", "Slack", "Email", "PagerDuty", "Alertmanager", "Channel", "QuietHours")


@pytest.mark.parametrize("name", [*RECORDS, "Alerts"])
def test_the_sections_have_what_the_component_takes(name: str) -> None:
    section: type[BaseModel] = getattr(alerts, name)
    record = settings.Settings if name == "Alerts" else getattr(settings, name)
    assert set(section.model_fields) == {field.name for field in dataclasses.fields(record)}


def test_defaults_are_the_components() -> None:
    assert Alerts().settings == ""
    assert (
        settings.read(json.dumps(Alerts().model_dump(exclude_none=True, exclude={"channels"}))) == settings.Settings()
    )


def test_a_configuration_reaches_the_component() -> None:
    values = {
        "open_after": 2,
        "quiet_hours": {"begin": "22:00", "end": "07:00", "time_zone": "Europe/Berlin"},
        "channels": {
            "team": {"slack": {"url_env": "SLACK_WEBHOOK_URL"}},
            "on-call": {"pagerduty": {"routing_key_file": "key"}, "severity": "critical"},
        },
    }
    section = Alerts.model_validate(values, context={"folder": Path("/project")})
    read = settings.read(section.settings)
    assert read.open_after == 2
    assert read.quiet_hours
    assert read.quiet_hours.zone.key == "Europe/Berlin"
    pagerduty = read.channels["on-call"].pagerduty
    assert pagerduty
    assert pagerduty.routing_key_file == "/project/key"  # beside the configuration
    assert read.channels["team"].severity == "info"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"channels": {"team": {}}}, "channels.team: expected one of log, webhook, slack"),
        ({"quiet_hours": {"begin": "22:00", "end": "22:00"}}, "quiet_hours: expected begin and end to differ"),
        (
            {"quiet_hours": {"begin": "22:00", "end": "07:00", "time_zone": "X"}},
            "quiet_hours.time_zone: expected a",
        ),
        ({"warning_from": 3}, "critical_from: expected warning_from (3) or more, received 2"),
    ],
)
def test_what_does_not_fit_is_told(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as error:
        Alerts.model_validate(values)
    assert sentence in str(error.value)

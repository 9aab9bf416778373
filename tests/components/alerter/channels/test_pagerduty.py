"""Incidents: triggered, updated and resolved by an alert's id."""

from collections.abc import Callable

import pytest

from penstock.core.errors import ServerError
from tests.components.alerter.conftest import Alerter
from tests.servers.webhooks import ROUTING_KEY, Webhooks


@pytest.fixture
def pager(alerter: Callable[..., Alerter], webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch) -> Alerter:
    monkeypatch.setenv("PAGER_KEY", ROUTING_KEY)
    return alerter(
        close_after=1, channels={"pager": {"pagerduty": {"routing_key_env": "PAGER_KEY", "url": webhooks.url}}}
    )


def test_an_alert_is_one_incident_from_its_opening_to_its_end(pager: Alerter, webhooks: Webhooks) -> None:
    summaries = [pager.run(hour, {"distance": value}) for hour, value in enumerate([0.15, 0.3, 0.3, 0.0])]
    identity = summaries[0]["open"][0]["id"]
    actions = [(event["event_action"], event["dedup_key"]) for event in webhooks.taken]
    assert actions == [("trigger", identity), ("trigger", identity), ("resolve", identity)]
    assert [event["payload"]["severity"] for event in webhooks.taken[:2]] == ["warning", "critical"]
    assert webhooks.taken[0]["links"] == [{"href": "https://reports.example.com/0#distance", "text": "Report"}]
    assert webhooks.taken[0]["payload"]["custom_details"]["Likely cause"] == "distance is in another unit"


def test_of_more_than_a_person_reads_there_is_one_incident(pager: Alerter, webhooks: Webhooks) -> None:
    pager.settings["rate_limit"] = 2
    pager.run(0, {f"f{number}": 0.15 for number in range(30)})
    assert len(webhooks.taken) == 2
    summary = webhooks.taken[1]["payload"]
    assert summary["summary"] == "[warning] flights: 29 more alerts in one message"
    assert len(summary["custom_details"]["alerts"].splitlines()) == 29 + 1  # a line for each, and the page


def test_a_summary_resolves_the_incidents_of_alerts_that_ended(pager: Alerter, webhooks: Webhooks) -> None:
    summary = pager.run(0, {"distance": 0.15, "carrier": 0.3})
    incidents = [alert["id"] for alert in summary["open"]]
    pager.settings["rate_limit"] = 1
    pager.run(1, {"distance": 0.0, "carrier": 0.0, "origin": 0.15, "dest": 0.15})
    actions = [(event["event_action"], event["dedup_key"]) for event in webhooks.taken[2:]]
    assert sorted(actions[:2]) == sorted(("resolve", incident) for incident in incidents)
    assert [action for action, _ in actions[2:]] == ["trigger"]
    payload = webhooks.taken[-1]["payload"]
    assert payload["summary"] == "[warning] flights: 2 more alerts in one message"
    assert payload["severity"] == "warning"  # the critical one has ended


def test_a_summary_of_many_windows_is_not_too_large(pager: Alerter, webhooks: Webhooks) -> None:
    pager.settings["rate_limit"] = 1
    pager.settings["channels"]["pager"]["pagerduty"]["url"] = "http://127.0.0.1:1"
    for hour in range(4):
        with pytest.raises(ServerError, match="no server answers"):
            pager.run(hour, {f"{hour}-{number}-{'x' * 1000}": 0.15 for number in range(80)})
    pager.settings["channels"]["pager"]["pagerduty"]["url"] = webhooks.url
    pager.run(4, {})
    assert [len(event["links"]) for event in webhooks.taken] == [4]


def test_a_wrong_key_is_told_in_pagerdutys_words_and_not_shown(pager: Alerter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER_KEY", "wrong-key")
    with pytest.raises(ServerError, match="'routing_key' is invalid") as error:
        pager.run(0, {"distance": 0.3})
    assert "wrong-key" not in str(error.value)
    assert len(pager.waiting()["pager"]) == 1

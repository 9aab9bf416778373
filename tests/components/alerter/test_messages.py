"""What is told in one message, and in which words."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from penstock.components.alerter import decisions, executor, messages, settings
from penstock.components.alerter.decisions import Measured, Policy
from tests.components.alerter.conftest import BEGIN, Alerter, window
from tests.servers.smtp import Smtp
from tests.servers.webhooks import SLACK_PATH, Webhooks


@pytest.fixture
def mail() -> Iterator[Smtp]:
    with Smtp() as server:
        yield server


@pytest.fixture
def tell(
    alerter: Callable[..., Alerter], webhooks: Webhooks, mail: Smtp, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, list[Measured]], None]:
    """Returns a function that tells a chat, by mail and a program what was measured in an hour."""
    monkeypatch.setenv("CHAT_URL", webhooks.url + SLACK_PATH)
    address = {"host": "localhost", "port": mail.port, "sender": "a@example.com", "to": ["b@example.com"]}
    channels: dict[str, Any] = {
        "chat": {"slack": {"url_env": "CHAT_URL"}},
        "mail": {"email": {**address, "security": "none"}},
        "severe": {"slack": {"url_env": "CHAT_URL"}, "severity": "critical"},
        "hook": {"webhook": {"url": f"{webhooks.url}/alerts"}},
    }
    one = alerter()
    parsed = settings.read(json.dumps({"close_after": 1, "channels": channels}))

    def tell(hour: int, measured: list[Measured]) -> None:
        executor.tell_windows(
            one.folder / "alerts", [replace(window(hour, {}), measured=measured)], str(one.state), parsed, BEGIN
        )

    return tell


MIXED = [
    ("dest", "jensen_shannon", 0.15),
    ("origin", "jensen_shannon", 0.15),
    ("carrier", "jensen_shannon", 0.3),
    ("origin", "out_of_range", 0.3),
]


def measured(feature: str, measure: str, value: float) -> Measured:
    return Measured(feature, measure, value, 0.1, value > 0.1, rows=10)


def test_what_became_of_a_features_measures_is_one_message_to_people(
    tell: Callable[[int, list[Measured]], None], webhooks: Webhooks, mail: Smtp
) -> None:
    tell(0, [measured("distance", "jensen_shannon", 0.15), measured("distance", "out_of_range", 0.3)])
    tell(1, [measured("distance", "jensen_shannon", 0.0), measured("distance", "out_of_range", 0.0)])
    opened, severe, *others = webhooks.sent("POST", SLACK_PATH)
    title = "[critical] flights: alert: distance: out of range is 0.3 (at most 0.1)"
    assert opened["text"] == f"{title}, and 1 more measure"
    assert severe["text"] == title  # of what is less severe it is not told
    also = next(field["value"] for field in opened["attachments"][0]["fields"] if field["title"] == "Also")
    assert also == "jensen shannon is 0.15 (at most 0.1)"
    assert len(others) == 2
    first, second = (taken.mail for taken in mail.taken)
    assert second["In-Reply-To"] == first["Message-ID"]
    assert len(second["References"].split()) == 2
    assert [body["kind"] for body in webhooks.sent("POST", "/alerts")] == ["opened", "opened", "resolved", "resolved"]


def test_features_and_events_are_told_apart(
    tell: Callable[[int, list[Measured]], None], webhooks: Webhooks, mail: Smtp
) -> None:
    tell(0, [measured("distance", "jensen_shannon", 0.15), measured("carrier", "out_of_range", 0.15)])
    tell(1, [measured("distance", "jensen_shannon", 0.0), measured("distance", "out_of_range", 0.15)])
    subjects = [taken.mail["Subject"].partition(": ")[2] for taken in mail.taken]
    assert subjects == [
        "alert: distance: jensen shannon is 0.15 (at most 0.1)",
        "alert: carrier: out of range is 0.15 (at most 0.1)",
        "resolved: distance: jensen shannon is 0 (at most 0.1)",
        "alert: distance: out of range is 0.15 (at most 0.1)",
    ]


def test_what_is_most_severe_is_told_first_by_every_channel(
    tell: Callable[[int, list[Measured]], None], webhooks: Webhooks, mail: Smtp
) -> None:
    tell(0, [measured(name, measure, value) for name, measure, value in MIXED])
    for told in (webhooks.sent("POST", SLACK_PATH)[:3], [{"text": taken.mail["Subject"]} for taken in mail.taken]):
        assert [one["text"].partition(": alert: ")[2].partition(":")[0] for one in told] == [
            "carrier",
            "origin",
            "dest",
        ]


def test_what_is_not_known_is_left_out(tell: Callable[[int, list[Measured]], None], mail: Smtp) -> None:
    tell(0, [measured("", "accuracy", 0.3)])
    names = [line.partition(":")[0] for line in mail.taken[0].mail.get_content().splitlines()]
    assert names == ["Measure", "Value", "Threshold", "Severity", "Window", "Rows", "Alert"]


def test_what_became_of_a_feature_in_several_windows_is_told_in_their_order() -> None:
    tracks, events = None, []
    for hour, value in enumerate([0.3, 0.0, 0.3]):
        one = replace(window(hour, {}), measured=[measured("origin", "jensen_shannon", value)])
        tracks, own = decisions.decide(tracks, one, Policy(close_after=1))
        events += own
    assert [group[0]["kind"] for group in messages.by_feature(events)] == ["opened", "resolved", "opened"]

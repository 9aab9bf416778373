"""What a chat shows."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock.core.errors import ServerError
from tests.components.alerter.conftest import Alerter
from tests.servers.loopback import Status
from tests.servers.webhooks import SLACK_PATH, Webhooks


@pytest.fixture
def chat(alerter: Callable[..., Alerter], webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch) -> Alerter:
    monkeypatch.setenv("CHAT_URL", webhooks.url + SLACK_PATH)
    return alerter(close_after=1, channels={"chat": {"slack": {"url_env": "CHAT_URL"}}})


def test_a_chat_shows_the_facts_and_a_link(chat: Alerter, webhooks: Webhooks) -> None:
    chat.run(0, {"distance": 0.3})
    body = webhooks.taken[0]
    assert body["text"] == "[critical] flights: alert: distance: jensen shannon is 0.3 (at most 0.1)"
    attachment = body["attachments"][0]
    assert (attachment["color"], attachment["title_link"]) == ("danger", "https://reports.example.com/0#distance")
    fields: dict[str, Any] = {field["title"]: field["value"] for field in attachment["fields"]}
    assert fields["Likely cause"] == "distance is in another unit"
    assert (fields["Value"], fields["Threshold"], fields["Rows"]) == ("0.3", "at most 0.1", "1,000")


def test_what_ends_is_green_and_says_why(chat: Alerter, webhooks: Webhooks) -> None:
    for hour, value in enumerate([0.3, 0.0]):
        chat.run(hour, {"distance": value})
    attachment = webhooks.taken[1]["attachments"][0]
    assert attachment["color"] == "good"
    assert attachment["fields"][0] == {
        "title": "Resolved",
        "value": "the measure is back within its lower bound",
        "short": False,
    }


def test_a_features_name_is_no_mention_and_no_link(chat: Alerter, webhooks: Webhooks) -> None:
    chat.run(0, {"<!channel> & <http://x|y>": 0.3})
    assert "&lt;!channel&gt; &amp; &lt;http://x|y&gt;" in webhooks.taken[0]["text"]


def test_slacks_own_words_stand_in_the_sentence(chat: Alerter, webhooks: Webhooks) -> None:
    webhooks.fail("POST", SLACK_PATH, Status(410, "channel_is_archived"))
    with pytest.raises(ServerError, match="channel_is_archived") as error:
        chat.run(0, {"distance": 0.3})
    assert "XXXX" not in str(error.value)


@pytest.mark.parametrize("status", [429, 503])
def test_the_pause_that_slack_asks_for_is_kept(
    status: int, chat: Alerter, webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    webhooks.fail("POST", SLACK_PATH, Status(status, headers={"Retry-After": "30"}))
    chat.run(0, {"distance": 0.3})
    assert 30.0 in pauses
    assert len(webhooks.taken) == 1

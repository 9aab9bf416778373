"""Messages that wait until their channel takes them, whatever happens to the others."""

from collections.abc import Callable

import pytest

from penstock.components.alerter.channels.slack import SlackChannel
from penstock.core.artifacts.alerts import AlertState
from penstock.core.errors import DataError, ServerError, SystemFailure
from tests.components.alerter.conftest import Alerter
from tests.servers.loopback import Cut, Status
from tests.servers.webhooks import Webhooks

CALM, LOUD = {"distance": 0.01}, {"distance": 0.15}


def webhook(server: Webhooks, path: str = "/alerts") -> dict[str, object]:
    return {"webhook": {"url": f"{server.url}{path}"}}


def test_a_model_that_is_well_is_told_to_nobody(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    summary = alerter(channels={"hook": webhook(webhooks)}).run(0, CALM)
    assert (summary["events"], summary["open"], webhooks.requests) == ([], [], [])


def test_each_event_is_told_once_over_the_windows(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    one = alerter(channels={"hook": webhook(webhooks)})
    summaries = [one.run(hour, values) for hour, values in enumerate([LOUD, LOUD, {"distance": 0.3}, CALM, CALM])]
    assert [body["kind"] for body in webhooks.taken] == ["opened", "escalated", "resolved"]
    assert len(set(webhooks.keys())) == 3
    assert [len(summary["open"]) for summary in summaries] == [1, 1, 1, 1, 0]
    assert one.waiting() == {}


def test_a_window_that_is_run_again_tells_nobody_again_and_says_the_same(
    alerter: Callable[..., Alerter], webhooks: Webhooks
) -> None:
    one = alerter(channels={"hook": webhook(webhooks)})
    first, second = one.run(0, LOUD), one.run(0, LOUD)
    assert first == second
    assert [event["kind"] for event in second["events"]] == ["opened"]
    assert len(webhooks.taken) == 1


@pytest.mark.parametrize(
    "failure",
    [Status(429, headers={"Retry-After": "0"}), Status(500, "out of order"), Status(503), Cut(after=False)],
)
def test_what_passes_is_tried_again(failure: Status | Cut, alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    webhooks.fail("POST", "/alerts", failure, failure)
    one = alerter(channels={"hook": webhook(webhooks)})
    one.run(0, LOUD)
    assert len(webhooks.taken) == 1
    assert len(webhooks.requests) == 3
    assert len(set(webhooks.keys())) == 1


def test_a_lost_answer_comes_a_second_time_with_the_same_key(
    alerter: Callable[..., Alerter], webhooks: Webhooks
) -> None:
    webhooks.fail("POST", "/alerts", Cut(after=True))
    alerter(channels={"hook": webhook(webhooks)}).run(0, LOUD)
    assert len(webhooks.taken) == 2
    assert len(set(webhooks.keys())) == 1


def test_a_channel_that_is_down_holds_no_other_up_and_gets_its_messages_later(
    alerter: Callable[..., Alerter], webhooks: Webhooks
) -> None:
    webhooks.fail("POST", "/down", *[Status(503, "maintenance")] * 3)
    one = alerter(channels={"down": webhook(webhooks, "/down"), "up": webhook(webhooks, "/up")})
    with pytest.raises(SystemFailure, match=r"kept for the next run: down \(2\): .* failed \(503: maintenance\)"):
        one.run(0, {"distance": 0.15, "carrier": 0.15})
    assert len(webhooks.sent("POST", "/up")) == 2
    assert len(webhooks.sent("POST", "/down")) == 3  # of the first message; the second was not tried
    assert list(one.waiting()) == ["down"]
    one.run(1, {"distance": 0.15, "carrier": 0.15})
    delivered = [body["id"] for body in webhooks.taken]
    assert len(delivered) == 4
    assert sorted(delivered[:2]) == sorted(delivered[2:])
    assert one.waiting() == {}


def test_a_message_that_is_refused_holds_no_other_up(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    webhooks.fail("POST", "/alerts", Status(400, "no such thing"))
    one = alerter(channels={"hook": webhook(webhooks)})
    with pytest.raises(ServerError, match=r"hook \(1\): .* refuses the request \(400: no such thing\)"):
        one.run(0, {"distance": 0.15, "carrier": 0.15})
    assert len(webhooks.taken) == 1
    assert len(one.waiting()["hook"]) == 1


def test_an_end_is_not_told_before_its_beginning(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    webhooks.fail("POST", "/alerts", Status(400), Status(400))
    one = alerter(close_after=1, channels={"hook": webhook(webhooks)})
    for hour, value in enumerate([0.15, 0.0]):
        with pytest.raises(ServerError):
            one.run(hour, {"distance": value})
    assert (len(webhooks.requests), len(webhooks.taken)) == (2, 0)  # the beginning, twice
    one.run(2, CALM)
    assert [body["kind"] for body in webhooks.taken] == ["opened", "resolved"]


def test_messages_that_are_refused_for_ever_keep_none_from_being_told(
    alerter: Callable[..., Alerter], webhooks: Webhooks
) -> None:
    webhooks.fail("POST", "/alerts", *[Status(400)] * 20)
    one = alerter(rate_limit=100, channels={"hook": webhook(webhooks)})
    many = {f"f{number}": 0.15 for number in range(10)}
    for hour, values in enumerate([many, many | LOUD]):
        with pytest.raises(ServerError):
            one.run(hour, values)
    webhooks.fail("POST", "/alerts", None, *[Status(400)] * 10)
    with pytest.raises(ServerError, match=r"hook \(10\)"):
        one.run(2, many | LOUD)
    assert [body["events"][0]["alert"]["feature"] for body in webhooks.taken] == ["distance"]
    assert len(webhooks.requests) == 20 + 11


def test_a_channel_that_refuses_everything_is_not_asked_for_ever(
    alerter: Callable[..., Alerter], webhooks: Webhooks
) -> None:
    webhooks.fail("POST", "/alerts", *[Status(404, "gone")] * 30)
    one = alerter(rate_limit=100, channels={"hook": webhook(webhooks)})
    with pytest.raises(ServerError, match=r"hook \(15\): .* does not know that \(404: gone\): check the address of"):
        one.run(0, {f"f{number}": 0.15 for number in range(15)})
    assert len(webhooks.requests) == 10
    assert len(one.waiting()["hook"]) == 15


def test_a_channel_gets_what_is_severe_enough_for_it(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    one = alerter(channels={"pager": {**webhook(webhooks, "/pager"), "severity": "critical"}, "all": webhook(webhooks)})
    for hour, value in enumerate([0.15, 0.3, 0.0, 0.0]):
        one.run(hour, {"distance": value})
    assert [body["kind"] for body in webhooks.sent("POST", "/pager")] == ["escalated", "resolved"]
    assert [body["kind"] for body in webhooks.sent("POST", "/alerts")] == ["opened", "escalated", "resolved"]


def test_what_waits_for_a_channel_that_is_gone_is_dropped(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    webhooks.fail("POST", "/old", *[Status(500)] * 3)
    one = alerter(channels={"old": webhook(webhooks, "/old")})
    with pytest.raises(SystemFailure):
        one.run(0, LOUD)
    one.settings = {"channels": {"new": webhook(webhooks, "/new")}}
    one.run(1, LOUD)
    assert one.waiting() == {}
    assert webhooks.sent("POST", "/new") == []


def test_models_share_a_state_and_have_their_own_alerts(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    one = alerter(channels={"hook": webhook(webhooks)})
    summaries = [one.run(0, LOUD, model=model) for model in ("flights", "taxi", "flights")]
    assert [[alert["model"] for alert in summary["open"]] for summary in summaries] == [
        ["flights"],
        ["taxi"],
        ["flights"],
    ]
    assert [body["events"][0]["alert"]["model"] for body in webhooks.taken] == ["flights", "taxi"]


def test_models_that_share_a_state_have_channels_of_their_own(
    alerter: Callable[..., Alerter], webhooks: Webhooks
) -> None:
    """One channel is the first model's alone; another has the name of one of the second's, at another address."""
    webhooks.fail("POST", "/only", *[Status(503)] * 3)
    webhooks.fail("POST", "/first", *[Status(503)] * 3)
    one = alerter()
    first = {"channels": {"only": webhook(webhooks, "/only"), "team": webhook(webhooks, "/first")}}
    one.settings = first
    with pytest.raises(SystemFailure, match=r"only \(1\): .*; team \(1\): "):
        one.run(0, LOUD)
    one.settings = {"channels": {"team": webhook(webhooks, "/second")}}
    assert one.run(0, LOUD, model="taxi")["waiting"] == {}
    one.settings = first
    one.run(1, LOUD)
    assert one.waiting() == {}
    told = {path: webhooks.sent("POST", path)[-1]["events"][0]["alert"]["model"] for path in ("/only", "/first")}
    assert told == {"/only": "flights", "/first": "flights"}
    assert [body["events"][0]["alert"]["model"] for body in webhooks.sent("POST", "/second")] == ["taxi"]


@pytest.mark.parametrize("content", ["", "{", '{"version": 2}', '{"version": 1, "outbox": [{}]}', "[]"])
def test_a_damaged_state_is_told_and_kept(content: str, alerter: Callable[..., Alerter]) -> None:
    one = alerter()
    one.state.mkdir()
    path = AlertState(one.state).path
    path.write_text(content)
    with pytest.raises(DataError, match=r"is no state of alerts .*: restore it from a copy"):
        one.run(0, LOUD)
    assert path.read_text() == content


def test_a_fault_in_a_channel_holds_no_other_up(
    alerter: Callable[..., Alerter], webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> None:
        raise UnicodeError("no such letter")

    monkeypatch.setattr(SlackChannel, "send", fault)
    one = alerter(channels={"broken": {"slack": {"url_env": "CHAT"}}, "hook": webhook(webhooks)})
    with pytest.raises(SystemFailure, match=r"broken \(1\): UnicodeError: no such letter"):
        one.run(0, LOUD)
    assert len(webhooks.taken) == 1

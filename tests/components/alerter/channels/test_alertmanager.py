"""Alertmanager itself: what it makes of alerts that open, get worse, go on and end, and whom it tells."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ConfigError, ServerError
from tests.components.alerter.conftest import Alerter
from tests.servers import alertmanager, ports
from tests.servers.alertmanager import Alertmanager
from tests.servers.loopback import Loopback, Request

LABELS = {
    "alertname": "PenstockModelMonitoring",
    "model": "flights",
    "feature": "distance",
    "measure": "jensen_shannon",
}


class Receiver(Loopback):
    """The webhook that Alertmanager tells."""

    def route(self, path: str) -> str:
        return path

    def answer(self, request: Request) -> Any:
        return {}

    def statuses(self, model: str) -> list[tuple[str, str]]:
        """Returns the status and the severity of each alert of a model that it was told of, without repetitions."""
        alerts = [alert for body in self.sent("POST", "/") for alert in body["alerts"]]
        told = [(one["status"], one["labels"]["severity"]) for one in alerts if one["labels"]["model"] == model]
        return list(dict.fromkeys(told))


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture(scope="module")
def server(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    with alertmanager.running(tmp_path_factory.mktemp("alertmanager"), f"{receiver.url}/") as running:
        yield running


def channel(server: Alertmanager, **settings: Any) -> dict[str, Any]:
    return {"prometheus": {"alertmanager": {"url": server.url, **settings}}}


def of(server: Alertmanager, model: str) -> list[dict[str, Any]]:
    return [alert for alert in server.alerts() if alert["labels"]["model"] == model]


def follow(one: Alerter, values: Sequence[float], model: str) -> None:
    for hour, value in enumerate(values):
        one.run(hour, {"distance": value}, model=model)


def test_an_alert_has_labels_to_route_by_and_facts_to_read(
    server: Alertmanager, receiver: Receiver, alerter: Callable[..., Alerter]
) -> None:
    summary = alerter(channels=channel(server, labels={"team": "a"})).run(0, {"distance": 0.15})
    (alert,) = of(server, "flights")
    assert alert["labels"] == {**LABELS, "severity": "warning", "alert": summary["open"][0]["id"], "team": "a"}
    assert alert["annotations"]["cause"] == "distance is in another unit"
    assert alert["annotations"]["summary"] == "[warning] flights: alert: distance: jensen shannon is 0.15 (at most 0.1)"
    assert "Rows: 1,000" in alert["annotations"]["description"]
    assert alert["generatorURL"] == "https://reports.example.com/0#distance"
    assert alert["startsAt"] == "2025-06-02T01:00:00.000Z"
    alertmanager.wait(lambda: receiver.statuses("flights") == [("firing", "warning")], "the receiver was not told")


def test_an_alert_gets_worse_and_ends(
    server: Alertmanager, receiver: Receiver, alerter: Callable[..., Alerter]
) -> None:
    one = alerter(close_after=1, channels=channel(server))
    follow(one, [0.15, 0.3, 0.3], "worse")
    assert [alert["labels"]["severity"] for alert in of(server, "worse")] == ["critical"]
    alertmanager.wait(
        lambda: ("firing", "critical") in receiver.statuses("worse"), "it was not told of the critical one"
    )
    follow(one, [0.15, 0.3, 0.3, 0.0], "worse")
    assert of(server, "worse") == []
    alertmanager.wait(lambda: ("resolved", "critical") in receiver.statuses("worse"), "it was not told of the end")


def test_an_alert_that_comes_twice_is_one(server: Alertmanager, alerter: Callable[..., Alerter]) -> None:
    """As after a process that died between the answer and the note of it."""
    one = alerter(channels=channel(server))
    one.run(0, {"distance": 0.3}, model="twice")
    (first,) = of(server, "twice")
    (one.state / "alert_state.json").unlink()
    one.run(0, {"distance": 0.3}, model="twice")
    (second,) = of(server, "twice")
    assert (second["fingerprint"], second["startsAt"]) == (first["fingerprint"], first["startsAt"])


def test_a_server_that_has_forgotten_its_alerts_hears_of_them_with_the_next_window(
    receiver: Receiver, alerter: Callable[..., Alerter], tmp_path: Path
) -> None:
    port = ports.reserve()
    with alertmanager.running(tmp_path / "first", f"{receiver.url}/", port) as server:
        one = alerter(channels=channel(server))
        one.run(0, {"distance": 0.3}, model="forgotten")
    with pytest.raises(ServerError, match=rf"no server answers at http://127.0.0.1:{port}: check the address"):
        one.run(1, {"distance": 0.3}, model="forgotten")
    with pytest.raises(ServerError):
        one.run(2, {"distance": 0.3}, model="forgotten")
    assert len(one.waiting()["prometheus"]) == 1  # that it was open in the window before is no longer news
    with alertmanager.running(tmp_path / "second", f"{receiver.url}/", port) as server:
        one.run(3, {"distance": 0.3}, model="forgotten")
        (alert,) = of(server, "forgotten")
        ends = datetime.fromisoformat(alert["endsAt"])
        assert 6 < (ends - datetime.now(UTC)).days + 1 <= 7


def test_a_clock_that_is_behind_is_no_fault(server: Alertmanager, alerter: Callable[..., Alerter]) -> None:
    one = alerter(close_after=1, channels=channel(server))
    future = (datetime.now(UTC).year - 2025 + 1) * 366 * 24
    one.run(future, {"distance": 0.3}, model="future")
    one.run(future + 1, {"distance": 0.0}, model="future")
    assert one.waiting() == {}


def test_hundreds_of_alerts_are_a_request(server: Alertmanager, alerter: Callable[..., Alerter]) -> None:
    """Neither quiet hours nor the rate limit hold: Alertmanager has its own."""
    quiet = {"begin": "00:00", "end": "23:59", "critical": False}
    one = alerter(channels=channel(server), rate_limit=1, quiet_hours=quiet)
    one.run(0, {f"f{number}": 0.15 for number in range(600)}, model="many")
    assert len(of(server, "many")) == 600


def test_of_what_was_not_severe_enough_no_end_is_told(
    server: Alertmanager, receiver: Receiver, alerter: Callable[..., Alerter]
) -> None:
    settings = {"prometheus": {**channel(server)["prometheus"], "severity": "critical"}}
    follow(alerter(channels=settings), [0.15, 0.3], "severe")
    alertmanager.wait(lambda: bool(receiver.statuses("severe")), "it was told of nothing")
    assert receiver.statuses("severe") == [("firing", "critical")]


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("my team", "labels: expected names of letters, digits and _, received 'my team'"),
        ("alert", "labels: alert is the alert's own: expected another name"),
    ],
)
def test_a_label_that_an_alert_cannot_have_is_refused(
    label: str, sentence: str, alerter: Callable[..., Alerter]
) -> None:
    settings = {"prometheus": {"alertmanager": {"url": "http://127.0.0.1:9093", "labels": {label: "a"}}}}
    with pytest.raises(ConfigError, match=sentence):
        alerter(channels=settings).run(0, {"distance": 0.3})

"""What channels are told of retrainings: each notice once, in words that say what to do."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from penstock.components.alerter import executor, settings
from penstock.components.alerter.retrainings import News
from penstock.core.artifacts.retraining import Hold, HoldKind, NoticeKind, RetrainingNotice, Signal
from penstock.core.errors import PenstockError, ServerError
from tests.components.alerter.conftest import BEGIN, Alerter
from tests.servers.loopback import Status
from tests.servers.smtp import Smtp
from tests.servers.webhooks import ROUTING_KEY, SLACK_PATH, Webhooks

SIGNAL = Signal(kind="drift", name="miles", value=5.0, limit=2.0, sentence="drift of 5 (at most 2): miles")
PAGE, RUN = "https://reports.example.com/0", "https://pipelines.example.com/#/runs/details/7"


def notice(kind: NoticeKind, retraining: str = "taxi-retrain-1", *holds: HoldKind, hour: int = 0) -> RetrainingNotice:
    begin = BEGIN + timedelta(hours=hour)
    return RetrainingNotice(
        id=f"{retraining or hour}-{kind}",
        kind=kind,
        retraining=retraining,
        pipeline="taxi",
        model="flights",
        signals=[SIGNAL],
        holds=[Hold(kind=one, sentence=f"because of {one}") for one in holds],
        policy="drift: 2, cool_down: 1d",
        begin=begin.isoformat(),
        end=(begin + timedelta(hours=1)).isoformat(),
        spans="7",
        approval=f"penstock retrain --approve {retraining}" if kind == "waiting" else "",
        run="7" if kind in ("started", "done") else "",
        link=RUN if kind in ("started", "done") else "",
        seconds=88.6 if kind == "done" else 0.0,
        error="no such image" if kind in ("not_started", "failed") else "",
        report=PAGE,
    )


def held_back(hour: int, *holds: HoldKind) -> RetrainingNotice:
    return notice("held_back", "", *holds, hour=hour)


Announce = Callable[..., PenstockError | None]


@pytest.fixture
def announce(alerter: Callable[..., Alerter]) -> Callable[..., Announce]:
    """Returns a function that makes a function, which tells the channels of some settings what there is of a model."""

    def make(**values: Any) -> Announce:
        one, parsed = alerter(**values), settings.read(json.dumps(values))

        def announce(*notices: RetrainingNotice, held: RetrainingNotice | None = None, is_free: bool = False) -> Any:
            news = News("taxi", "flights", notices, held, is_free)
            return executor.announce(news, str(one.state), parsed, BEGIN)

        return announce

    return make


@pytest.fixture
def mail() -> Iterator[Smtp]:
    with Smtp() as server:
        yield server


def hook(server: Webhooks, path: str = "/alerts") -> dict[str, Any]:
    return {"webhook": {"url": f"{server.url}{path}"}}


def test_every_channel_for_people_is_told_how_to_approve(
    announce: Callable[..., Announce], webhooks: Webhooks, mail: Smtp, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("CHAT_URL", webhooks.url + SLACK_PATH)
    monkeypatch.setenv("PAGER_KEY", ROUTING_KEY)
    address = {"host": "localhost", "port": mail.port, "sender": "a@example.com", "to": ["b@example.com"]}
    channels = {
        "file": {"log": {"path": str(tmp_path / "told.jsonl")}},
        "hook": hook(webhooks),
        "chat": {"slack": {"url_env": "CHAT_URL"}},
        "mail": {"email": {**address, "security": "none"}},
        "pager": {"pagerduty": {"routing_key_env": "PAGER_KEY", "url": webhooks.url}},
        "severe": {**hook(webhooks, "/severe"), "severity": "critical"},
        "prometheus": {"alertmanager": {"url": f"{webhooks.url}/alertmanager"}},
    }
    assert announce(channels=channels)(notice("waiting")) is None
    title, command = "[warning] flights: retraining waits for approval", "penstock retrain --approve taxi-retrain-1"
    (line,) = (json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines())
    (posted,), (chat,) = webhooks.sent("POST", "/alerts"), webhooks.sent("POST", SLACK_PATH)
    (change,) = webhooks.sent("POST", "/v2/change/enqueue")
    assert line == posted
    assert (posted["id"], posted["kind"], posted["severity"]) == ("taxi-retrain-1-waiting", "retraining", "warning")
    assert (posted["retrainings"][0]["signals"][0], posted["events"]) == (SIGNAL, [])
    assert posted["text"].splitlines() == [
        "Because: drift of 5 (at most 2): miles",
        f"To approve: {command}",
        "Policy: drift: 2, cool_down: 1d",
        "Spans: 7",
        "Window: 2 June 2025, 00:00 to 2 June 2025, 01:00 UTC",
        f"Report: {PAGE}",
        "Pipeline: taxi",
        "Retraining: taxi-retrain-1",
    ]
    (taken,) = mail.taken
    assert [posted["title"], chat["text"], taken.mail["Subject"], change["payload"]["summary"]] == [title] * 4
    assert command in taken.mail.get_content()
    assert (chat["attachments"][0]["color"], chat["attachments"][0]["title_link"]) == ("warning", PAGE)
    assert change["payload"]["custom_details"]["To approve"] == command
    assert len(webhooks.requests) == 3  # no other is told of what fires not, and is not that severe


@pytest.mark.parametrize(
    ("kind", "title", "words"),
    [
        ("started", "[info] flights: retraining has started", f"Run: {RUN}"),
        ("not_started", "[warning] flights: retraining could not be started", "Error: no such image"),
        ("done", "[info] flights: retraining is done", "Took: 1 min 29 s"),
        ("failed", "[warning] flights: retraining has failed", "Error: no such image"),
    ],
)
def test_what_becomes_of_one_is_told_once(
    kind: NoticeKind, title: str, words: str, announce: Callable[..., Announce], webhooks: Webhooks
) -> None:
    tell = announce(channels={"hook": hook(webhooks)})
    for _ in range(2):
        tell(notice("waiting"), notice(kind, "taxi-retrain-2"))
    first, second = webhooks.taken
    assert (first["id"], second["title"]) == ("taxi-retrain-1-waiting", title)
    assert words in second["text"].splitlines()


def test_what_holds_one_back_is_told_again_for_another_reason_only(
    announce: Callable[..., Announce], webhooks: Webhooks
) -> None:
    tell = announce(channels={"hook": hook(webhooks)})
    tell(held=held_back(0, "cool_down"))
    tell(held=held_back(0, "cool_down"))
    tell(held=held_back(1, "cool_down", "budget"))
    tell(held=held_back(2, "budget"))
    tell()  # a window of which nobody knows
    tell(held=held_back(3, "cool_down"))
    assert [body["retrainings"][0]["begin"][11:16] for body in webhooks.taken] == ["00:00", "01:00"]
    assert "Held back: because of cool_down; because of budget" in webhooks.taken[1]["text"]
    tell(is_free=True)
    tell(held=held_back(5, "cool_down"))
    assert [body["title"] for body in webhooks.taken] == ["[info] flights: retraining is held back"] * 3


def test_a_channel_that_is_down_gets_it_from_the_next_run_of_the_alerter(
    alerter: Callable[..., Alerter], announce: Callable[..., Announce], webhooks: Webhooks
) -> None:
    webhooks.fail("POST", "/alerts", *[Status(503, "maintenance")] * 3)
    channels = {"hook": hook(webhooks)}
    error = announce(channels=channels)(notice("started"))
    assert error
    assert "kept for the next run: hook (1): " in error.message
    alerter(channels=channels).run(0, {"distance": 0.01})
    assert [body["id"] for body in webhooks.taken] == ["taxi-retrain-1-started"]


def test_after_a_refusal_nothing_later_of_the_same_retraining_is_told(
    announce: Callable[..., Announce], webhooks: Webhooks
) -> None:
    webhooks.fail("POST", "/alerts", Status(400, "no such thing"))
    tell = announce(channels={"hook": hook(webhooks)})
    waiting, started, other = notice("waiting"), notice("started"), notice("started", "taxi-retrain-2")
    assert isinstance(tell(waiting, started, other), ServerError)
    assert [body["id"] for body in webhooks.taken] == [other["id"]]
    assert tell(waiting, started, other) is None
    assert [body["id"] for body in webhooks.taken[1:]] == [waiting["id"], started["id"]]


def test_of_more_than_a_person_reads_there_is_one_message(
    alerter: Callable[..., Alerter], announce: Callable[..., Announce], webhooks: Webhooks, monkeypatch: Any
) -> None:
    monkeypatch.setenv("PAGER_KEY", ROUTING_KEY)
    pager = {"pagerduty": {"routing_key_env": "PAGER_KEY", "url": webhooks.url}}
    values = {"rate_limit": 1, "channels": {"hook": hook(webhooks), "pager": pager}}
    alerter(**values).run(0, {"distance": 0.15}, now=BEGIN)
    announce(**values)(notice("started"), notice("failed", "taxi-retrain-2"))
    summary = webhooks.sent("POST", "/alerts")[-1]
    assert summary["title"] == "[warning] flights: 2 notices of retrainings in one message"
    assert summary["text"].splitlines()[1] == "[warning] flights: retraining has failed"
    changes = [body["payload"]["summary"] for body in webhooks.sent("POST", "/v2/change/enqueue")]
    assert changes == ["[info] flights: retraining has started", "[warning] flights: retraining has failed"]

"""Quiet hours by a zone's clock, and more messages than a person reads."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import pytest

from penstock.components.alerter import pacing
from penstock.components.alerter.settings import QuietHours
from tests.components.alerter.conftest import Alerter
from tests.servers.webhooks import Webhooks

BERLIN = QuietHours(time(22), time(7), "Europe/Berlin")
NIGHT = {"begin": "22:00", "end": "07:00", "time_zone": "Europe/Berlin"}
MIDNIGHT, MORNING = datetime(2025, 6, 2, 22, 0, tzinfo=UTC), datetime(2025, 6, 3, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "is_quiet"),
    [
        ("2025-06-02T19:59:59+00:00", False),  # 21:59:59 in Berlin's summer
        ("2025-06-02T20:00:00+00:00", True),
        ("2025-06-03T04:59:59+00:00", True),
        ("2025-06-03T05:00:00+00:00", False),
        ("2025-01-02T20:59:59+00:00", False),  # in winter an hour later
        ("2025-01-02T21:00:00+00:00", True),
        ("2025-03-30T05:30:00+00:00", False),  # the night that has an hour less ends at 5:00
        ("2025-10-26T05:30:00+00:00", True),  # and the one that has an hour more at 6:00
        ("2025-06-02T16:00:00-04:00", True),  # the same moment, by another clock
    ],
)
def test_the_clock_on_the_wall_counts(moment: str, is_quiet: bool) -> None:
    assert pacing.is_quiet(BERLIN, datetime.fromisoformat(moment)) is is_quiet


def test_hours_within_a_day() -> None:
    noon = QuietHours(time(12), time(13, 30))
    quiet = [pacing.is_quiet(noon, datetime(2025, 6, 2, hour, 29, tzinfo=UTC)) for hour in (11, 12, 13, 14)]
    assert quiet == [False, True, True, False]


@pytest.fixture
def quiet(alerter: Callable[..., Alerter], webhooks: Webhooks) -> Alerter:
    return alerter(close_after=1, quiet_hours=NIGHT, channels={"hook": {"webhook": {"url": f"{webhooks.url}/alerts"}}})


def kinds(webhooks: Webhooks) -> list[tuple[str, str]]:
    return [(body["kind"], body["severity"]) for body in webhooks.taken]


def test_what_comes_in_quiet_hours_is_told_afterwards(quiet: Alerter, webhooks: Webhooks) -> None:
    quiet.run(0, {"distance": 0.15}, now=MIDNIGHT)
    quiet.run(1, {"distance": 0.0}, now=MIDNIGHT + timedelta(hours=1))
    assert kinds(webhooks) == []
    quiet.run(2, {"distance": 0.0}, now=MORNING)
    assert kinds(webhooks) == [("opened", "warning"), ("resolved", "warning")]


def test_what_is_critical_is_told_at_once_with_what_came_before_it(quiet: Alerter, webhooks: Webhooks) -> None:
    quiet.run(0, {"distance": 0.15, "carrier": 0.15}, now=MIDNIGHT)
    quiet.run(1, {"distance": 0.3, "carrier": 0.15}, now=MIDNIGHT + timedelta(hours=1))
    assert kinds(webhooks) == [("opened", "warning"), ("escalated", "critical")]
    assert {body["events"][0]["alert"]["feature"] for body in webhooks.taken} == {"distance"}


def test_what_is_critical_waits_where_a_person_says_so(quiet: Alerter, webhooks: Webhooks) -> None:
    quiet.settings["quiet_hours"] = NIGHT | {"critical": False}
    quiet.run(0, {"distance": 0.3}, now=MIDNIGHT)
    assert kinds(webhooks) == []


def test_where_no_run_comes_by_day_a_message_waits_a_day(quiet: Alerter, webhooks: Webhooks) -> None:
    """A daily window that is monitored at night."""
    quiet.run(0, {"distance": 0.15}, now=MIDNIGHT)
    quiet.run(24, {"distance": 0.15}, now=MIDNIGHT + timedelta(days=1))
    assert kinds(webhooks) == []
    quiet.run(48, {"distance": 0.15}, now=MIDNIGHT + timedelta(days=1, minutes=1))
    assert kinds(webhooks) == [("opened", "warning")]


def test_the_most_severe_are_told_by_themselves_and_the_rest_in_one(
    alerter: Callable[..., Alerter], webhooks: Webhooks
) -> None:
    one = alerter(rate_limit=3, channels={"hook": {"webhook": {"url": f"{webhooks.url}/alerts"}}})
    one.run(0, {"first": 0.15, "second": 0.3, "third": 0.15, "fourth": 0.3, "fifth": 0.15})
    assert kinds(webhooks) == [("opened", "critical"), ("opened", "critical"), ("summary", "warning")]
    summary = webhooks.taken[-1]
    assert summary["title"] == "[warning] flights: 3 more alerts in one message"
    assert summary["text"].splitlines()[0] == "[warning] flights: alert: first: jensen shannon is 0.15 (at most 0.1)"
    assert [event["alert"]["feature"] for event in summary["events"]] == ["first", "third", "fifth"]
    assert one.waiting() == {}


def test_the_rate_counts_over_runs_and_for_an_hour(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    one = alerter(rate_limit=2, channels={"hook": {"webhook": {"url": f"{webhooks.url}/alerts"}}})
    one.run(0, {"a": 0.15, "b": 0.15}, now=MORNING)
    one.run(1, {"c": 0.15, "d": 0.15}, now=MORNING + timedelta(minutes=59))
    one.run(2, {"e": 0.15, "f": 0.15}, now=MORNING + timedelta(hours=2))
    assert [kind for kind, _ in kinds(webhooks)] == ["opened", "opened", "summary", "opened", "opened"]


def test_a_summary_of_one_is_that_message(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    one = alerter(rate_limit=1, channels={"hook": {"webhook": {"url": f"{webhooks.url}/alerts"}}})
    one.run(0, {"a": 0.15}, now=MORNING)
    one.run(1, {"b": 0.15}, now=MORNING + timedelta(minutes=1))
    assert [kind for kind, _ in kinds(webhooks)] == ["opened", "opened"]


def test_channels_have_rates_of_their_own(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    channels = {name: {"webhook": {"url": f"{webhooks.url}/{name}"}} for name in ("one", "two")}
    alerter(rate_limit=2, channels=channels).run(0, {"a": 0.15, "b": 0.15, "c": 0.15})
    assert [len(webhooks.sent("POST", f"/{name}")) for name in channels] == [2, 2]

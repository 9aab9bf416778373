"""When alerts open, get worse and end: windows of findings, one after the other."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from penstock.components.alerter import decisions
from penstock.components.alerter.decisions import Measured, ModelTracks, Policy, Window
from penstock.core.artifacts.alerts import AlertEvent
from penstock.core.errors import DataError

POLICY = Policy()
BEGIN = datetime(2026, 11, 30, tzinfo=UTC)


def measured(value: float | None, threshold: float | None = 0.1, feature: str = "distance") -> Measured:
    is_beyond = value is not None and threshold is not None and value > threshold
    return Measured(feature, "jensen_shannon", value, threshold, is_beyond, rows=1000, report="https://reports.example")


def window(hour: int, *findings: Measured, baseline: str = "first") -> Window:
    begin = BEGIN + timedelta(hours=hour)
    return Window("flights", begin.isoformat(), (begin + timedelta(hours=1)).isoformat(), baseline, list(findings))


def accuracy(value: float) -> Measured:
    """A measure that has to be high."""
    return Measured("", "accuracy", value, 0.8, is_beyond=value < 0.8, rows=500)


def follow(
    windows: Sequence[Window], policy: Policy = POLICY, tracks: ModelTracks | None = None
) -> tuple[ModelTracks, list[list[AlertEvent]]]:
    """Returns the tracks after some windows, and each window's events."""
    events = []
    for one in windows:
        tracks, own = decisions.decide(tracks, one, policy)
        events.append(own)
    assert tracks
    return tracks, events


def kinds(values: Sequence[float | None], policy: Policy = POLICY) -> list[str]:
    """Returns what each of a feature's windows says; "" for nothing."""
    _, events = follow([window(hour, measured(value)) for hour, value in enumerate(values)], policy)
    return [" ".join(event["kind"] for event in own) for own in events]


def test_an_alert_opens_once_and_ends_below_the_lower_bound() -> None:
    assert kinds([0.05, 0.11, 0.12, 0.07, 0.07, 0.11]) == ["", "opened", "ongoing", "ongoing", "resolved", "opened"]


def test_a_measure_beside_its_threshold_does_not_flap() -> None:
    assert kinds([0.11, 0.09, 0.11, 0.09, 0.09, 0.09]) == ["opened", *["ongoing"] * 5]


def test_a_calm_window_between_two_others_ends_nothing() -> None:
    assert kinds([0.11, 0.01, 0.09, 0.01, 0.01]) == ["opened", "ongoing", "ongoing", "ongoing", "resolved"]


def test_as_many_windows_in_a_row_open_it_as_the_policy_says() -> None:
    assert kinds([0.2, 0.2, 0.05, 0.2, 0.2, 0.2], Policy(open_after=3)) == ["", "", "", "", "", "opened"]


def test_what_was_not_measured_changes_nothing() -> None:
    assert kinds([0.11, 0.01, None, float("nan"), 0.01]) == ["opened", "ongoing", "", "", "resolved"]
    assert kinds([0.2, None, 0.2], Policy(open_after=2)) == ["", "", "opened"]


def test_an_alert_keeps_its_id_and_says_what_its_newest_window_says() -> None:
    windows = [window(hour, measured(value)) for hour, value in enumerate([0.11, 0.15, 0.0])]
    _, events = follow(windows, Policy(close_after=1))
    alerts = [event["alert"] for own in events for event in own]
    assert len({alert["id"] for alert in alerts}) == 1
    assert [alert["value"] for alert in alerts] == [0.11, 0.15, 0.0]
    assert [alert["end"] for alert in alerts] == [one.end for one in windows]
    assert {alert["opened"] for alert in alerts} == {windows[0].end}
    assert len({event["id"] for own in events for event in own}) == 3


def test_another_opening_has_another_id_and_the_same_one_always_the_same() -> None:
    windows = [window(hour, measured(value)) for hour, value in enumerate([0.2, 0.0, 0.2])]
    _, events = follow(windows, Policy(close_after=1))
    _, again = follow(windows, Policy(close_after=1))
    assert events == again
    assert events[0][0]["alert"]["id"] != events[2][0]["alert"]["id"]


def test_a_window_counts_once() -> None:
    policy = Policy(open_after=2)
    tracks, _ = follow([window(0, measured(0.2))], policy)
    same, events = follow([window(0, measured(0.2))] * 3, policy, tracks)
    assert (same, events) == (tracks, [[], [], []])


def test_a_late_window_counts_for_measures_that_have_no_newer_one() -> None:
    """Labels come late: what they tell is of an older window than what the requests have told."""
    tracks, _ = follow([window(3, measured(0.05))])
    _, events = follow([window(1, accuracy(0.7), measured(0.5))], tracks=tracks)
    assert [event["alert"]["measure"] for event in events[0]] == ["accuracy"]


def test_a_measure_that_has_to_be_high_alerts_below_its_threshold() -> None:
    _, events = follow([window(hour, accuracy(value)) for hour, value in enumerate([0.85, 0.79, 0.8, 0.81, 0.39])])
    assert [" ".join(event["kind"] for event in own) for own in events] == [
        "",
        "opened",
        "ongoing",
        "resolved",
        "opened",
    ]
    assert [events[1][0]["alert"]["severity"], events[4][0]["alert"]["severity"]] == ["warning", "critical"]
    assert {own[0]["alert"]["side"] for own in events[1:]} == {"below"}


@pytest.mark.parametrize(
    ("value", "importance", "severity"),
    [
        (0.11, None, "warning"),
        (0.21, None, "critical"),
        (0.11, 0.4, "info"),
        (0.21, 0.4, "warning"),
        (0.51, 0.4, "critical"),
        (99.0, 0.0, "info"),
    ],
)
def test_severity_is_how_far_and_how_important(value: float, importance: float | None, severity: str) -> None:
    _, events = follow([window(0, dataclasses.replace(measured(value), importance=importance))])
    assert events[0][0]["alert"]["severity"] == severity


def test_where_nothing_is_allowed_everything_is_far() -> None:
    _, events = follow([window(0, measured(0.001, threshold=0.0))])
    assert events[0][0]["alert"]["severity"] == "critical"


def test_an_alert_that_gets_worse_says_so_once_and_keeps_its_highest_severity() -> None:
    _, events = follow([window(hour, measured(value)) for hour, value in enumerate([0.11, 0.5, 0.6, 0.11, 0.0, 0.0])])
    assert [own[0]["severity_before"] for own in events] == ["", "warning", "", "", "", ""]
    assert [own[0]["kind"] for own in events] == ["opened", "escalated", *["ongoing"] * 3, "resolved"]
    assert [own[0]["alert"]["severity"] for own in events] == ["warning", *["critical"] * 5]


def test_each_feature_and_measure_has_an_alert_of_its_own_the_most_severe_first() -> None:
    second = dataclasses.replace(measured(0.3), measure="l_infinity")
    _, events = follow([window(0, measured(0.11, feature="carrier"), measured(0.11), second)])
    told = [(event["alert"]["feature"], event["alert"]["measure"]) for event in events[0]]
    assert told == [("distance", "l_infinity"), ("carrier", "jensen_shannon"), ("distance", "jensen_shannon")]


def test_a_new_baseline_ends_the_alerts_that_it_does_not_measure() -> None:
    tracks, _ = follow([window(0, measured(0.2), measured(0.2, feature="carrier"))])
    after, events = follow([window(1, measured(0.2), baseline="second")], tracks=tracks)
    assert {(event["kind"], event["alert"]["feature"], event["reason"]) for event in events[0]} == {
        ("ongoing", "distance", ""),
        ("resolved", "carrier", decisions.REPLACED),
    }
    assert [alert["feature"] for alert in decisions.open_alerts(after)] == ["distance"]


def test_a_new_baseline_ends_no_alert_of_what_cannot_be_known_yet() -> None:
    """Its first window may have no predictions, and has none before it to be compared with."""
    drift = dataclasses.replace(measured(0.2), measure="jensen_shannon_drift")
    of_prediction = dataclasses.replace(measured(0.2, feature="prediction species"), subject="prediction")
    tracks, _ = follow([window(0, drift, of_prediction, measured(0.2))])
    tracks, events = follow([window(1, measured(0.2), baseline="second")], tracks=tracks)
    assert [event["kind"] for own in events for event in own] == ["ongoing"]
    assert len([*decisions.open_alerts(tracks)]) == 3
    drift = dataclasses.replace(drift, feature="carrier")
    of_prediction = dataclasses.replace(of_prediction, feature="prediction island")
    later = [window(2, of_prediction, baseline="second"), window(3, drift, baseline="second")]
    _, events = follow(later, tracks=tracks)
    ended = [[event["alert"]["feature"] for event in own if event["reason"] == decisions.REPLACED] for own in events]
    assert ended == [["prediction species"], ["distance"]]


def test_a_new_baseline_ends_no_alert_of_a_metric() -> None:
    """A slice is measured only when labelled rows of it come: so it ends by its own values."""
    of_slice = dataclasses.replace(auc(0.7, 100), feature="performance auc for island=Dream")
    tracks, _ = follow([window(0, of_slice)])
    later = [window(1, measured(0.05), baseline="second"), window(2, auc(0.9, 50), baseline="second")]
    tracks, events = follow(later, tracks=tracks)
    assert events == [[], []]
    good = dataclasses.replace(of_slice, value=0.9, is_beyond=False)
    _, events = follow([window(hour, good, baseline="second") for hour in (3, 4)], tracks=tracks)
    assert [event["reason"] for own in events for event in own] == ["", decisions.BACK]


def test_a_new_baseline_without_pairs_ends_their_alerts() -> None:
    pair = dataclasses.replace(measured(0.2, feature="dependence carrier, distance"), subject="dependence")
    tracks, _ = follow([window(0, pair)])
    _, events = follow([window(1, measured(0.05), baseline="second")], tracks=tracks)
    assert [event["reason"] for event in events[0]] == [decisions.REPLACED]


def test_a_new_baseline_begins_to_count_anew() -> None:
    policy = Policy(open_after=2)
    tracks, _ = follow([window(0, measured(0.2))], policy)
    _, events = follow(
        [window(1, measured(0.2), baseline="second"), window(2, measured(0.2), baseline="second")], policy, tracks
    )
    assert [len(own) for own in events] == [0, 1]


@pytest.mark.parametrize(
    ("begin", "end", "sentence"),
    [
        ("yesterday", "2026-11-30T01:00:00+00:00", "expected begin as a time with its zone"),
        ("2026-11-30T00:00:00+00:00", "2026-11-30T01:00:00", "expected end as a time with its zone"),
        ("2026-11-30T01:00:00+00:00", "2026-11-30T01:00:00+00:00", "expected it to end after it begins"),
    ],
)
def test_a_window_without_times_is_refused(begin: str, end: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        decisions.decide(None, dataclasses.replace(window(0), begin=begin, end=end), Policy())


def auc(value: float, rows: int) -> Measured:
    """A metric of labelled rows, of which the interval is on one side of the limit."""
    return Measured("performance auc", "realised", value, 0.8, value < 0.8, rows, subject="performance")


def test_a_window_counts_anew_when_more_labels_have_come() -> None:
    policy = Policy(open_after=2)
    tracks, _ = follow([window(0, auc(0.7, 10)), window(1, auc(0.9, 10))], policy)
    tracks, (again, same, fewer) = follow(
        [window(1, auc(0.7, 100)), window(1, auc(0.7, 100)), window(1, auc(0.9, 50))], policy, tracks
    )
    assert ([event["kind"] for event in again], same, fewer) == (["opened"], [], [])
    assert (again[0]["alert"]["side"], again[0]["alert"]["sample_size"]) == ("below", 100)
    _, (older,) = follow([window(0, auc(0.7, 500))], policy, tracks)
    assert older == []


def test_an_alert_of_a_metric_ends_within_its_limit() -> None:
    def loss(value: float) -> Measured:
        return Measured("performance log loss", "realised", value, 0.5, value > 0.5, 100, subject="performance")

    _, events = follow([window(hour, loss(value)) for hour, value in enumerate([0.6, 0.49, 0.48])])
    assert [[event["kind"] for event in own] for own in events] == [["opened"], ["ongoing"], ["resolved"]]

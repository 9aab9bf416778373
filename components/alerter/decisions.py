"""Which alerts open, get more severe and end: a function of a window's findings and of the windows before.

There is at most one open alert for each model, feature and measure. It opens when the measure has been beyond its
threshold in `open_after` windows in a row. It ends when the measure has been within a lower bound in `close_after`
windows in a row: between the threshold and the bound nothing changes, so that a measure beside its threshold does not
flap. A window counts once, however often it is decided on, and so does one that is older than the newest.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from penstock.components.alerter import causes
from penstock.core.artifacts.alerts import Alert, AlertEvent, EventKind, Finding, Severity, WindowFindings
from penstock.core.errors import DataError

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
REPLACED = "the model is compared with a new baseline, which does not have this measure"
_FURTHEST = 100.0  # thresholds: where nothing is allowed, everything is as far
_ID_DIGITS = 20


@dataclass(frozen=True)
class Policy:
    """When alerts open and end, and how severe they are.

    `close_at` is the lower bound: a share of the way from the measure's reference value to its threshold. A distance
    from the reference in such ways, times the feature's importance, is the alert's urgency: from `warning_from` and
    `critical_from` on it has that severity.
    """

    open_after: int = 1
    close_after: int = 2
    close_at: float = 0.8
    warning_from: float = 0.5
    critical_from: float = 2.0


class Track(TypedDict):
    """One measure of one feature: the end of its newest window, and what of the windows before is to be known.

    `beyond` counts windows in a row beyond the threshold while no alert is open, `within` those within the lower bound
    while one is.
    """

    end: str
    beyond: int
    within: int
    alert: Alert | None


class ModelTracks(TypedDict):
    """The tracks of a model, by feature and measure, and the baseline of its newest window."""

    baseline: str
    end: str
    tracks: dict[str, dict[str, Track]]


def decide(before: ModelTracks | None, window: WindowFindings, policy: Policy) -> tuple[ModelTracks, list[AlertEvent]]:
    """Returns the model's tracks after a window, and the window's events, the most severe first.

    Nothing is changed in place. Raises a DataError for a window whose times are none.
    """
    begin, end = _time(window["begin"], "begin"), _time(window["end"], "end")
    if begin >= end:
        raise DataError(f"window: expected it to end after it begins, received {window['begin']} to {window['end']}")
    after = _begun(before, window)
    events = _replaced(before, after, window)
    for finding in window["findings"]:
        measures = after["tracks"].setdefault(finding["feature"], {})
        track = measures.get(finding["measure"])
        if track is None or datetime.fromisoformat(track["end"]) < end:
            measures[finding["measure"]], own = _next(track, finding, window, policy)
            events += own
    events.sort(key=lambda one: (-SEVERITIES.index(one["alert"]["severity"]), -(one["alert"]["importance"] or 0.0)))
    return after, events


def event(kind: EventKind, alert: Alert, reason: str = "") -> AlertEvent:
    """Returns an event, whose id is the same whenever it is made anew."""
    once = kind in ("opened", "resolved")
    name = f"{alert['id']}-{kind}" if once else f"{alert['id']}-{kind}-{_digest(alert['end'])[:8]}"
    return AlertEvent(id=name, kind=kind, alert=alert, reason=reason)


def open_alerts(tracks: ModelTracks) -> Iterator[Alert]:
    """Yields the open alerts of a model, by feature and measure."""
    for _, measures in sorted(tracks["tracks"].items()):
        for _, track in sorted(measures.items()):
            if track["alert"]:
                yield track["alert"]


def urgency(finding: Finding) -> float:
    """Returns how far a value is from its reference, in thresholds, times the feature's importance; 0 where unknown.

    A feature whose importance is not known is taken for an important one.
    """
    if not _is_measured(finding):
        return 0.0
    reference = finding.get("reference", 0.0)
    way, distance = _threshold(finding) - reference, _value(finding) - reference
    distances = _FURTHEST if way == 0 else min(max(distance / way, 0.0), _FURTHEST)
    importance = finding.get("importance")
    return distances * (1.0 if importance is None else min(max(importance, 0.0), 1.0))


def severity(finding: Finding, policy: Policy) -> Severity:
    """Returns the severity of a finding that is beyond its threshold."""
    urgent = urgency(finding)
    if urgent >= policy.critical_from:
        return "critical"
    return "warning" if urgent >= policy.warning_from else "info"


def _next(
    track: Track | None, finding: Finding, window: WindowFindings, policy: Policy
) -> tuple[Track, list[AlertEvent]]:
    """Returns a track after a window, and what becomes of its alert."""
    after = Track(end="", beyond=0, within=0, alert=None) if track is None else track.copy()
    after["end"] = window["end"]
    if not _is_measured(finding):  # nothing is known, so nothing changes
        return after, []
    alert = after["alert"]
    if alert is not None:
        return _continued(after, alert, finding, window, policy)
    after["beyond"] = after["beyond"] + 1 if _is_beyond(finding, _threshold(finding)) else 0
    if after["beyond"] < policy.open_after:
        return after, []
    opened = _alert(_identity(window, finding), window["end"], severity(finding, policy), finding, window)
    after.update({"beyond": 0, "within": 0, "alert": opened})
    return after, [event("opened", opened)]


def _continued(
    after: Track, alert: Alert, finding: Finding, window: WindowFindings, policy: Policy
) -> tuple[Track, list[AlertEvent]]:
    """Returns a track with an open alert after a window."""
    reference = finding.get("reference", 0.0)
    bound = reference + policy.close_at * (_threshold(finding) - reference)
    now = severity(finding, policy) if _is_beyond(finding, _threshold(finding)) else alert["severity"]
    is_worse = SEVERITIES.index(now) > SEVERITIES.index(alert["severity"])
    newest = _alert(alert["id"], alert["opened"], now if is_worse else alert["severity"], finding, window)
    after["within"] = 0 if _is_beyond(finding, bound) else after["within"] + 1
    if after["within"] >= policy.close_after:
        after.update({"within": 0, "alert": None})
        return after, [event("resolved", newest)]
    after["alert"] = newest
    return after, [event("escalated" if is_worse else "ongoing", newest)]


def _is_measured(finding: Finding) -> bool:
    value, threshold = finding["value"], finding["threshold"]
    return value is not None and threshold is not None and math.isfinite(value) and math.isfinite(threshold)


def _value(finding: Finding) -> float:
    assert finding["value"] is not None
    return finding["value"]


def _threshold(finding: Finding) -> float:
    assert finding["threshold"] is not None
    return finding["threshold"]


def _is_beyond(finding: Finding, bound: float) -> bool:
    return _value(finding) < bound if finding.get("alerts") == "below" else _value(finding) > bound


def _alert(identity: str, opened: str, severity: Severity, finding: Finding, window: WindowFindings) -> Alert:
    return Alert(
        id=identity,
        model=window["model"],
        feature=finding["feature"],
        measure=finding["measure"],
        severity=severity,
        value=_value(finding),
        threshold=_threshold(finding),
        alerts=finding.get("alerts", "above"),
        sample_size=finding["sample_size"],
        importance=finding.get("importance"),
        cause=causes.likely(finding),
        opened=opened,
        begin=window["begin"],
        end=window["end"],
        report=window["report"],
    )


def _identity(window: WindowFindings, finding: Finding) -> str:
    """Returns an alert's id: that of the model, the feature, the measure, and the window that opens it."""
    return _digest("\0".join((window["model"], finding["feature"], finding["measure"], window["end"])))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]


def _begun(before: ModelTracks | None, window: WindowFindings) -> ModelTracks:
    """Returns a copy of the tracks for a window. With another baseline they forget what they counted."""
    baseline, end = window.get("baseline", ""), window["end"]
    if before is None:
        return ModelTracks(baseline=baseline, end=end, tracks={})
    if datetime.fromisoformat(before["end"]) >= datetime.fromisoformat(end):  # late labels come for older windows
        baseline, end = before["baseline"], before["end"]
    copy: dict[str, dict[str, Track]] = {}
    for feature, measures in before["tracks"].items():
        copy[feature] = {measure: track.copy() for measure, track in measures.items()}
    if baseline != before["baseline"]:
        for measures in copy.values():
            for track in measures.values():
                track.update({"beyond": 0, "within": 0})
    return ModelTracks(baseline=baseline, end=end, tracks=copy)


def _replaced(before: ModelTracks | None, after: ModelTracks, window: WindowFindings) -> list[AlertEvent]:
    """Ends the alerts of measures that a new baseline does not have: nothing else would ever end them."""
    if before is None or after["baseline"] == before["baseline"]:
        return []
    measured = {(finding["feature"], finding["measure"]) for finding in window["findings"]}
    events = []
    for feature, measures in after["tracks"].items():
        for measure, track in measures.items():
            if track["alert"] and (feature, measure) not in measured:
                events.append(event("resolved", track["alert"], REPLACED))
                track["alert"] = None
    return events


def _time(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise DataError(
            f"window: expected {name} as a time with its zone, such as 2026-11-30T08:00+00:00, received {text!r}"
        )
    return moment

"""Which alerts open, get more severe and end: a function of a window's findings and of the windows before.

There is at most one open alert for each model, feature and measure. It opens when the measure has been beyond its
threshold in `open_after` windows in a row. It ends when the measure has been within a lower bound in `close_after`
windows in a row: between the threshold and the bound nothing changes, so that a measure beside its threshold does not
flap. A window counts once, however often it is decided on. For a measure only those count that are newer than all that
have counted for it: the labels of an older window may come too late to open an alert, or to end one. Of the newest
window a metric counts anew when more of its rows have a label.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NotRequired, TypedDict

from penstock.core.artifacts.alerts import Alert, AlertEvent, EventKind, Severity
from penstock.core.artifacts.monitoring import Subject
from penstock.core.errors import DataError

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
BACK = "the measure is back within its lower bound"
REPLACED = "the model has a new baseline, which does not have this measure"
DRIFT = "_drift"  # of a measure of two windows: beside the same of the training data it is another alert
_FURTHEST = 100.0  # thresholds: where nothing is allowed, everything is as far
_ID_DIGITS = 20


@dataclass(frozen=True)
class Policy:
    """When alerts open and end, and how severe they are.

    `close_at` is the lower bound, as a share of the threshold. Of what has to be high, the threshold is the bound. How
    many thresholds a value is, times the feature's importance, is how urgent it is: from `warning_from` and
    `critical_from` on an alert has that severity.
    """

    open_after: int = 1
    close_after: int = 2
    close_at: float = 0.8
    warning_from: float = 0.5
    critical_from: float = 2.0


@dataclass(frozen=True)
class Measured:
    """A measure of a feature in a window, beside its threshold.

    `feature` is the name of the `subject`, which may be another one, such as a prediction. `value` and `threshold` are
    None where nothing was measured, or nothing alerts. `importance` is the feature's, as a share of the most important
    one's, None where nobody knows. `sentence` says what was measured, and `cause` what is likely behind it.
    """

    feature: str
    measure: str
    value: float | None
    threshold: float | None
    is_beyond: bool
    rows: int
    importance: float | None = None
    sentence: str = ""
    cause: str = ""
    report: str = ""
    subject: Subject = "feature"

    @property
    def is_metric(self) -> bool:
        """Whether it tells how good the model is.

        Of a metric only what is certain is measured, so it needs no lower bound to end an alert, and there may be more
        rows of the same window later, as labels come.
        """
        return self.subject == "performance"


@dataclass(frozen=True)
class Window:
    """A window of a model's requests: its times (ISO 8601 with a zone), its baseline, what was measured."""

    model: str
    begin: str
    end: str
    baseline: str
    measured: list[Measured]


class Track(TypedDict):
    """One measure of one feature: the end of its newest window, and what of the windows before is to be known.

    `beyond` counts windows in a row beyond the threshold while no alert is open, `within` those within the lower bound
    while one is. `baseline` is that window's, `subject` the measure's. Of a metric it is known of how many `rows` of
    that window it was, and both counts `before` it.
    """

    end: str
    beyond: int
    within: int
    alert: Alert | None
    baseline: NotRequired[str]
    subject: NotRequired[Subject]
    rows: NotRequired[int]
    before: NotRequired[tuple[int, int]]


class ModelTracks(TypedDict):
    """The tracks of a model, by feature and measure, and the baseline and the end of its newest window."""

    baseline: str
    end: str
    tracks: dict[str, dict[str, Track]]


def decide(before: ModelTracks | None, window: Window, policy: Policy) -> tuple[ModelTracks, list[AlertEvent]]:
    """Returns the model's tracks after a window, and the window's events, the most severe first.

    Nothing is changed in place. Raises a DataError for a window whose times are none.
    """
    begin, end = _time(window.begin, "begin"), _time(window.end, "end")
    if begin >= end:
        raise DataError(f"window: expected it to end after it begins, received {window.begin} to {window.end}")
    after = _begun(before, window)
    events = _replaced(before, after, window, end)
    for measured in window.measured:
        measures = after["tracks"].setdefault(measured.feature, {})
        track = measures.get(measured.measure)
        if track is None or datetime.fromisoformat(track["end"]) < end:
            before_it = (track["beyond"], track["within"]) if track else (0, 0)
        elif datetime.fromisoformat(track["end"]) == end and measured.rows > track.get("rows", measured.rows):
            before_it = track["before"]  # labels have come: the window counts anew
            track = Track({**track, "beyond": before_it[0], "within": before_it[1]})
        else:
            continue
        measures[measured.measure], own = _next(track, measured, window, policy)
        events += own
        if measured.is_metric:
            measures[measured.measure].update({"rows": measured.rows, "before": before_it})
    events.sort(key=lambda one: (-SEVERITIES.index(one["alert"]["severity"]), -(one["alert"]["importance"] or 0.0)))
    return after, events


def open_alerts(tracks: ModelTracks) -> Iterator[Alert]:
    """Yields the open alerts of a model, by feature and measure."""
    for _, measures in sorted(tracks["tracks"].items()):
        for _, track in sorted(measures.items()):
            if track["alert"]:
                yield track["alert"]


def severity(measured: Measured, policy: Policy) -> Severity:
    """Returns how severe it is that a measure is beyond its threshold.

    A feature whose importance is not known is taken for an important one.
    """
    importance = 1.0 if measured.importance is None else min(max(measured.importance, 0.0), 1.0)
    urgency = _thresholds(measured) * importance
    if urgency >= policy.critical_from:
        return "critical"
    return "warning" if urgency >= policy.warning_from else "info"


def opening(alert: Alert) -> str:
    """Returns the id of the event that opened an alert."""
    return f"{alert['id']}-opened"


def digest(*texts: str) -> str:
    """Returns an id that is the same for the same texts."""
    return hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:_ID_DIGITS]


def _next(track: Track | None, measured: Measured, window: Window, policy: Policy) -> tuple[Track, list[AlertEvent]]:
    """Returns a track after a window, and what becomes of its alert."""
    after = Track(end="", beyond=0, within=0, alert=None) if track is None else track.copy()
    after.update({"end": window.end, "baseline": window.baseline, "subject": measured.subject})
    value, threshold = measured.value, measured.threshold
    if value is None or threshold is None or not (math.isfinite(value) and math.isfinite(threshold)):
        return after, []  # nothing is known, so nothing changes
    if after["alert"] is not None:
        return _continued(after, after["alert"], _alert(value, threshold, measured, window), measured, policy)
    after["beyond"] = after["beyond"] + 1 if measured.is_beyond else 0
    if after["beyond"] < policy.open_after:
        return after, []
    opened = _alert(value, threshold, measured, window)
    opened["severity"] = severity(measured, policy)
    after.update({"beyond": 0, "within": 0, "alert": opened})
    return after, [_event("opened", opened)]


def _continued(
    after: Track, alert: Alert, newest: Alert, measured: Measured, policy: Policy
) -> tuple[Track, list[AlertEvent]]:
    """Returns a track with an open alert after a window, in which the alert is the `newest`."""
    before = alert["severity"]
    newest.update({"id": alert["id"], "opened": alert["opened"], "side": alert["side"]})
    newest["severity"] = max(before, severity(measured, policy) if measured.is_beyond else before, key=SEVERITIES.index)
    is_within = measured.is_metric or _is_within(newest, policy)
    after["within"] = after["within"] + 1 if not measured.is_beyond and is_within else 0
    if after["within"] >= policy.close_after:
        after.update({"within": 0, "alert": None})
        return after, [_event("resolved", newest, reason=BACK)]
    after["alert"] = newest
    if newest["severity"] == before:
        return after, [_event("ongoing", newest)]
    return after, [_event("escalated", newest, before=before)]


def _event(kind: EventKind, alert: Alert, before: Severity | Literal[""] = "", reason: str = "") -> AlertEvent:
    """Returns an event, whose id is the same whenever it is made anew."""
    once = kind in ("opened", "resolved")
    name = f"{alert['id']}-{kind}" if once else f"{alert['id']}-{kind}-{digest(alert['end'])[:8]}"
    return AlertEvent(id=name, kind=kind, alert=alert, severity_before=before, reason=reason)


def _alert(value: float, threshold: float, measured: Measured, window: Window) -> Alert:
    return Alert(
        id=digest(window.model, measured.feature, measured.measure, window.end),
        model=window.model,
        feature=measured.feature,
        measure=measured.measure,
        severity="info",
        value=value,
        threshold=threshold,
        side="below" if value < threshold else "above",
        sample_size=measured.rows,
        importance=measured.importance,
        sentence=measured.sentence,
        cause=measured.cause,
        opened=window.end,
        begin=window.begin,
        end=window.end,
        report=measured.report,
    )


def _is_within(alert: Alert, policy: Policy) -> bool:
    if alert["side"] == "below":
        return alert["value"] >= alert["threshold"]
    return alert["value"] <= alert["threshold"] * policy.close_at


def _thresholds(measured: Measured) -> float:
    """Returns how many thresholds a value is, or for what has to be high, a threshold values; at most 100."""
    value, threshold = measured.value or 0.0, measured.threshold or 0.0
    value, threshold = (value, threshold) if value >= threshold else (threshold, value)
    return min(value / threshold, _FURTHEST) if threshold > 0 else _FURTHEST


def _begun(before: ModelTracks | None, window: Window) -> ModelTracks:
    """Returns a copy of the tracks for a window. With another baseline they forget what they counted."""
    baseline, end = window.baseline, window.end
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


def _replaced(before: ModelTracks | None, after: ModelTracks, window: Window, end: datetime) -> list[AlertEvent]:
    """Ends the alerts of measures that a new baseline does not have: nothing else would ever end them.

    Its first window with any measure of the kind shows that: a window may have no predictions, and before a baseline's
    first window there is none that it could be compared with. Of metrics nothing shows it, for one is there only when
    labelled rows of its slice have come: their alerts end by their own values.
    """
    if before is None:
        return []
    present = {(one.feature, one.measure) for one in window.measured}
    kinds = {_kind(one.measure, one.subject) for one in window.measured if not one.is_metric}
    events = []
    for feature, measures in after["tracks"].items():
        for measure, track in measures.items():
            is_others = track.get("baseline", before["baseline"]) != window.baseline
            is_new = is_others and datetime.fromisoformat(track["end"]) < end
            kind = _kind(measure, track["subject"]) if "subject" in track else None  # as an earlier Penstock wrote it
            is_missing = (feature, measure) not in present and kind in kinds
            if track["alert"] and is_new and is_missing:
                events.append(_event("resolved", track["alert"], reason=REPLACED))
                track["alert"] = None
    return events


def _kind(measure: str, subject: Subject) -> tuple[str, bool]:
    """Returns the kind of a measure that is no metric's: a window has all of a kind that its baseline has, or none."""
    # Pairs of features are measured where features are.
    return "feature" if subject == "dependence" else subject, measure.endswith(DRIFT)


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

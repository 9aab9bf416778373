"""What a monitored window tells, which alerts come of it, and what is kept of them from run to run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NotRequired, TypedDict

from penstock.core.artifacts.artifact import Artifact
from penstock.core.files import atomic

type Severity = Literal["info", "warning", "critical"]

# What an alert's message is about: it opens, gets more severe, is still open in the next window, or ends.
type EventKind = Literal["opened", "escalated", "ongoing", "resolved"]


class Evidence(TypedDict, total=False):
    """What points to a finding's cause: each key is there where it was measured.

    `scale` and `offset`: the window's numbers are those of the training data times and plus them, nearly everywhere.
    `missing` and `new` are shares of the window's rows without a value, and with values that training data lacks;
    `missing_before` is the first of them in the training data. `new_values` are the most frequent of the new ones, and
    `lost_values` those that the window lacks. `out_of_range` is the share beyond the training data's range. `partner`
    is the feature whose dependence on this one changed.
    """

    scale: float
    offset: float
    missing: float
    missing_before: float
    new: float
    new_values: list[str]
    lost_values: list[str]
    out_of_range: float
    partner: str


class Finding(TypedDict):
    """One measure of one feature in a window, whether it alerts or not.

    `feature` is "" for the model as a whole. `value` is None where nothing could be measured, and `threshold` where the
    measure alerts of nothing. It alerts beyond its threshold: above it, or below it where `alerts` says so, as of an
    accuracy. `reference` is the measure's value when nothing is wrong, 0 for a distance. `importance` is the feature's
    share of the most important one's, 0 to 1, None where it is not known. `sample_size` counts the rows measured.
    `cause` is a likely one in words; without it, `evidence` tells one.
    """

    feature: str
    measure: str
    value: float | None
    threshold: float | None
    sample_size: int
    alerts: NotRequired[Literal["above", "below"]]
    reference: NotRequired[float]
    importance: NotRequired[float | None]
    cause: NotRequired[str]
    evidence: NotRequired[Evidence]


class WindowFindings(TypedDict):
    """What was measured in one window of a model's requests.

    `begin` and `end` are ISO 8601 with a time zone. `report` is the address of the window's page, which alerts link.
    `baseline` says with what the window was compared: where it changes, so do the thresholds.
    """

    model: str
    begin: str
    end: str
    report: str
    findings: list[Finding]
    baseline: NotRequired[str]


class Alert(TypedDict):
    """One measure of one feature of a model that is beyond its threshold.

    `id` is the same in every run, message and channel, from the alert's opening to its end. `severity` is the highest
    that the alert has had. `opened` is the end of the window that opened it; all else is of its newest window.
    """

    id: str
    model: str
    feature: str
    measure: str
    severity: Severity
    value: float
    threshold: float
    alerts: Literal["above", "below"]
    sample_size: int
    importance: float | None
    cause: str
    opened: str
    begin: str
    end: str
    report: str


class AlertEvent(TypedDict):
    """What becomes of an alert in a window. `id` names the event, as its messages' deduplication key does."""

    id: str
    kind: EventKind
    alert: Alert
    reason: str


class AlertSummary(TypedDict):
    """What a run of the Alerter has done: its events, the alerts that are open, and what waits for which channel."""

    model: str
    begin: str
    end: str
    events: list[AlertEvent]
    open: list[Alert]
    waiting: dict[str, int]


@dataclass(frozen=True)
class Alerts(Artifact):
    """`alerts.json`: an AlertSummary."""

    FILE: ClassVar[str] = "alerts.json"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def read(self) -> AlertSummary:
        """Returns the summary; an OSError if there is no file, a ValueError if its content is none."""
        from pydantic import TypeAdapter

        return TypeAdapter(AlertSummary).validate_json(self.path.read_bytes())

    def write(self, summary: AlertSummary) -> None:
        """Writes the summary; a ValueError if a value is not finite, because JSON has no such numbers."""
        atomic.write_text(self.path, json.dumps(summary, indent=1, allow_nan=False))

"""Alerts that come of monitored windows, and what is kept of them from run to run."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypedDict

from penstock.core.artifacts.artifact import Artifact
from penstock.core.artifacts.state import StateFiles
from penstock.core.files import atomic, documents

type Severity = Literal["info", "warning", "critical"]

# What an alert's message is about: it opens, gets more severe, is still open in the next window, or ends.
type EventKind = Literal["opened", "escalated", "ongoing", "resolved"]


class Alert(TypedDict):
    """One measure of one feature of a model that is beyond its threshold.

    `feature` may be another subject, such as a prediction. `id` is the same in every run, message and channel, from the
    alert's opening to its end. `severity` is the highest that it has had, `side` the wrong one of the threshold.
    `opened` is the end of the window that opened it; all else is of its newest window. `report` is the address of its
    figure.
    """

    id: str
    model: str
    feature: str
    measure: str
    severity: Severity
    value: float
    threshold: float
    side: Literal["above", "below"]
    sample_size: int
    importance: float | None
    sentence: str
    cause: str
    opened: str
    begin: str
    end: str
    report: str


class AlertEvent(TypedDict):
    """What becomes of an alert in a window. `id` is the deduplication key of the message that tells it.

    `severity_before` is what an alert had that has become more severe, else "". `reason` says why an alert has ended.
    """

    id: str
    kind: EventKind
    alert: Alert
    severity_before: Severity | Literal[""]
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
        atomic.write_text(self.path, documents.json_text(summary, indent=1, allow_nan=False))


class AlertState(StateFiles):
    """What the Alerter keeps from run to run: alert_state.json, in an object store alert_state-000000000042.json."""

    NAME: ClassVar[str] = "alert_state"

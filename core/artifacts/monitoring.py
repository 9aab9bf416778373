"""The artifacts of monitoring: what the data of a model looks like in training, and what a window of requests says.

Nobody needs TensorFlow to read them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NotRequired, TypedDict

from penstock.core.artifacts.artifact import Artifact
from penstock.core.artifacts.data import Schema
from penstock.core.files import atomic

# What a finding is about: a feature, what the model has answered, several features together, how good the model is, or
# the requests themselves.
type Subject = Literal["feature", "prediction", "dependence", "performance", "requests"]


class LeftOut(TypedDict):
    """What was left out of a window: so many `rows`, `files` or `values`, the reason, and the first place of them."""

    unit: Literal["rows", "files", "values"]
    reason: str
    count: int
    example: str


class Finding(TypedDict):
    """A measure of a window beside its threshold.

    Args:
        subject: What it is about.
        name: The feature, or the output; of several features "first, second"; "" where it is none.
        measure: Such as "jensen_shannon".
        value: None where it could not be measured.
        threshold: From which value on it alerts; None where it never does.
        alerts: Whether it does.
        rows: How many rows of the window it is of.
        sentence: The same in words, with what is likely behind it.
        figure: The fragment of its figure's address in the window's page, without `#`; "" where there is none.
        importance: How much the model depends on the feature, as a share of all; left out where nobody knows.
    """

    subject: Subject
    name: str
    measure: str
    value: float | None
    threshold: float | None
    alerts: bool
    rows: int
    sentence: str
    figure: str
    importance: NotRequired[float]


class WindowRecord(TypedDict):
    """A window of a model's requests beside its baseline.

    Args:
        model: The model's name on its server.
        versions: Those that answered in the window.
        begin: The window's first moment (ISO 8601, UTC).
        end: The first moment after it.
        requests: How many were logged.
        rows: How many rows they have.
        sampled: The share of all requests that is logged; 1.0 in an empty window.
        baseline: The URI of the MonitoringBaseline.
        left_out: What is in no measure, and why.
        notes: Sentences to bear in mind.
        findings: What was measured, what alerts first.
        details: What the page draws: counts over the baseline's bins, by feature and by output.
    """

    model: str
    versions: list[int]
    begin: str
    end: str
    requests: int
    rows: int
    sampled: float
    baseline: str
    left_out: list[LeftOut]
    notes: list[str]
    findings: list[Finding]
    details: NotRequired[dict[str, Any]]


@dataclass(frozen=True)
class MonitoringBaseline(Artifact):
    """What windows of requests are compared with.

    baseline.json        the distribution of each feature and each prediction, thresholds, and the reason of each
    sample.parquet       some of the training rows, with predictions, and labels where there are any
    evaluation.parquet   predictions for the evaluation split, and its labels
    schema.pbtxt         by which requests are read
    report.html          the thresholds for a person to look at
    """

    @property
    def path(self) -> Path:
        return self.root / "baseline.json"

    @property
    def sample(self) -> Path:
        return self.root / "sample.parquet"

    @property
    def evaluation(self) -> Path:
        return self.root / "evaluation.parquet"

    @property
    def schema(self) -> Path:
        return Schema(self.root).path


@dataclass(frozen=True)
class MonitoredWindow(Artifact):
    """A window of requests.

    window.json    a WindowRecord
    report.html    the same for a person to look at
    """

    FILE: ClassVar[str] = "window.json"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def read(self) -> WindowRecord:
        """Returns the record; an OSError if there is no file, a ValueError if its content is no WindowRecord."""
        from pydantic import TypeAdapter

        return TypeAdapter(WindowRecord).validate_json(self.path.read_bytes())

    def write(self, window: WindowRecord) -> None:
        """Writes the record; a ValueError if a value is not finite, because JSON has no such numbers."""
        atomic.write_text(self.path, json.dumps(window, indent=1, allow_nan=False))

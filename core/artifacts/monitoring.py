"""The artifacts of monitoring: what the data of a model looks like in training, and what a window of requests says.

Nobody needs TensorFlow to read them.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NotRequired, TypedDict

from penstock.core.artifacts.artifact import Artifact
from penstock.core.artifacts.data import DataCleaning, Schema
from penstock.core.artifacts.gates import ModelEvaluation
from penstock.core.artifacts.judged import Judged
from penstock.core.errors import DataError
from penstock.core.files import atomic

# What a finding is about: a feature, what the model has answered, several features together, how good the model is, or
# the requests themselves.
type Subject = Literal["feature", "prediction", "dependence", "performance", "requests"]


type ComparedWith = Literal["training", "window"]


class LeftOut(TypedDict):
    """What was left out of a window: so many rows, files, values or labels, why, and the first place of them."""

    unit: Literal["rows", "files", "values", "labels"]
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
        threshold: Beyond which value it alerts; None where it never does.
        alerts: Whether it does.
        rows: How many rows of the window it is of.
        side: On which side of the threshold it alerts; left out where that is above.
        compared_with: The training data, or another window; left out where it is the training data.
        low: The value's 95 % interval; left out of what has none.
        high: Likewise.
        sentence: The same in words.
        cause: What is likely behind it, in words; "" where nobody knows, and where it does not alert.
        figure: The fragment of its figure's address in the window's page, without `#`; "" where there is none.
        importance: How much the model depends on the feature, as a share of the most important one's; left out where
            nobody knows.
    """

    subject: Subject
    name: str
    measure: str
    value: float | None
    threshold: float | None
    alerts: bool
    rows: int
    sentence: str
    cause: str
    figure: str
    importance: NotRequired[float]
    side: NotRequired[Literal["below"]]
    compared_with: NotRequired[ComparedWith]
    low: NotRequired[float]
    high: NotRequired[float]


def first_of_each(findings: Iterable[Finding]) -> list[Finding]:
    """Returns the first finding of each feature, prediction or pair, which is the strongest as findings are ordered.

    A feature and a prediction may have the same name.
    """
    first: dict[tuple[Subject, str], Finding] = {}
    for finding in findings:
        first.setdefault((finding["subject"], finding["name"]), finding)
    return list(first.values())


def moved(findings: Iterable[Finding]) -> list[Finding]:
    """Returns, of each feature, prediction or pair that alerts, the first finding that does."""
    return first_of_each(finding for finding in findings if finding["alerts"])


def titled(subject: Subject, name: str, shown: str = "") -> str:
    """Returns what people call a finding's feature, by default by its name; of a model's outputs it says so."""
    is_output = subject == "prediction" and name != subject
    return f"prediction: {shown or name}" if is_output else shown or name


class EstimatedMetric(TypedDict):
    """A metric of a window without labels, its 95 % interval, and what it was for the evaluation split."""

    metric: str
    value: float
    low: float
    high: float
    evaluation: float


class RealisedMetric(TypedDict):
    """A metric of the rows of a window that have a label.

    Args:
        metric: Its name in the evaluation, such as "auc".
        slice: The slice's name in the evaluation, such as "company=blue"; of all rows gates.OVERALL.
        value: None if it is not defined of these rows.
        low: The bounds of its 95 % interval; None where the rows are too few for one.
        high: Likewise.
        evaluation: What it was in the evaluation; None if that had no such slice.
        rows: How many rows of the slice have a label.
    """

    metric: str
    slice: str
    value: float | None
    low: float | None
    high: float | None
    evaluation: float | None
    rows: int


class MeasuredIn(TypedDict):
    """The newer window, by its begin and end, with which a window was measured again, and what this was before that.

    Args:
        begin: The newer window's first moment.
        end: The first moment after it.
        labelled: How many rows had a label.
        alerting: The realised metrics that alerted.
    """

    begin: str
    end: str
    labelled: int
    alerting: list[str]


class JoinedLabels(TypedDict):
    """The labels that have come for a window's rows.

    Args:
        rows: How many rows have one that counts.
        files: What the files were whose labels are joined: a digest.
        left_out: Labels and labelled rows that do not count, with the reasons.
        notes: Sentences to bear in mind.
        measured_in: With which newer window this was; left out where it was with this one itself.
    """

    rows: int
    files: str
    left_out: list[LeftOut]
    notes: list[str]
    measured_in: NotRequired[MeasuredIn]


class MeasuredAgain(TypedDict):
    """An earlier window for which labels have come: how many of its rows have one now, and before.

    `alerts` are the findings, in words, that did not alert before.
    """

    begin: str
    end: str
    rows: int
    labelled: int
    labelled_before: int
    alerts: list[str]


class ThresholdRecord(TypedDict):
    """Above which value a measure alerts, in windows of the baseline's `window_rows`; None: never. And why."""

    name: str
    measure: str
    value: float | None
    reason: str


class TrainedOn(TypedDict):
    """The data that a model was trained on: its files' fingerprint, the newest span, all spans in words, its rows."""

    fingerprint: str
    span: int
    spans: str
    rows: int


class BaselineRecord(TypedDict):
    """What a model's data looks like in training, and from when on a window is another.

    Args:
        model: The URI of the model; "" without one.
        label: Of a model without code its label, as core/labels.py has it; else None.
        label_name: The label's name, "" if it has none.
        rows: The rows of the training split, and of the one that predictions are of.
        features: Bins and counts of the features, as `Reference.document` of components/monitoring/measures has them.
        predictions: The same of what the model answers; None without a model.
        false_alarm_rate: The share of windows that alert although nothing has changed.
        configured: Thresholds as the configuration has them.
        fixed: Thresholds that are not derived, by name and measure; None: never.
        sources: Where each of these comes from, likewise.
        window_rows: For windows of how many rows `thresholds` are; those of other sizes are derived for them.
        thresholds: All of them, with their reasons.
        importance: How much the model depends on each feature, as a share of the most important one's.
        notes: Sentences to bear in mind.
        created: When it was made (ISO 8601, UTC).
        trained_on: The data of the training; left out where its examples do not say so.
        judged: The model's evaluation; left out where nobody knows it.
    """

    model: str
    label: dict[str, Any] | None
    label_name: str
    rows: dict[str, int]
    features: dict[str, Any]
    predictions: dict[str, Any] | None
    false_alarm_rate: float
    configured: dict[str, Any]
    fixed: dict[str, dict[str, float | None]]
    sources: dict[str, dict[str, str]]
    window_rows: int
    thresholds: list[ThresholdRecord]
    importance: dict[str, float]
    notes: list[str]
    created: NotRequired[str]  # baselines of earlier versions have none
    trained_on: NotRequired[TrainedOn]
    judged: NotRequired[Judged]


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
        performance: How good the model most likely is; left out where nothing can be estimated.
        labels: The labels that have come; left out where nobody looked for any.
        realised: How good the model was, by slices; left out without labels.
        compared_with: The begin of the window that it was compared with; left out where there was none.
        measured_again: Earlier windows whose records have changed with this one; left out where nobody looked.
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
    performance: NotRequired[list[EstimatedMetric]]
    labels: NotRequired[JoinedLabels]
    realised: NotRequired[list[RealisedMetric]]
    compared_with: NotRequired[str]
    measured_again: NotRequired[list[MeasuredAgain]]


@dataclass(frozen=True)
class MonitoringBaseline(Artifact):
    """What windows of requests are compared with.

    baseline.json             the distribution of each feature and each prediction, thresholds, the reason of each
    sample.parquet            some of the training rows
    evaluation.parquet        predictions for rows of the evaluation split, and their labels
    evaluation_rows.parquet   the features of these rows
    eval_config.json          by what the model was evaluated: TFMA's EvalRun
    schema.pbtxt              by which requests are read
    cleaning.json             the rules that the model's server cleans them by; only where there are some
    report.html               the thresholds for a person to look at
    """

    FILE: ClassVar[str] = "baseline.json"
    # Columns of evaluation.parquet: the label, and what the evaluation compares in its place if that is another.
    LABEL: ClassVar[str] = "label"
    EVALUATED_LABEL: ClassVar[str] = "evaluated label"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def cleaning(self) -> Path:
        return self.root / DataCleaning.FILE

    def read(self) -> BaselineRecord:
        """Returns the record; a DataError if there is none, or what is there is another."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(BaselineRecord).validate_json(self.path.read_bytes())
        except FileNotFoundError:
            raise DataError(f"{self.root}: expected a baseline, with {self.path.name} in it") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            reason = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
            raise DataError(
                f"{self.path}: expected a baseline that this version's ModelMonitor wrote: {reason}"
            ) from None

    def write(self, baseline: BaselineRecord) -> None:
        """Writes the record; a ValueError if a value is not finite, because JSON has no such numbers."""
        atomic.write_text(self.path, json.dumps(baseline, indent=1, allow_nan=False))

    @property
    def sample(self) -> Path:
        return self.root / "sample.parquet"

    @property
    def evaluation(self) -> Path:
        return self.root / "evaluation.parquet"

    @property
    def evaluation_rows(self) -> Path:
        return self.root / "evaluation_rows.parquet"

    @property
    def eval_config(self) -> Path:
        return ModelEvaluation(self.root).config

    @property
    def schema(self) -> Path:
        return Schema(self.root).path


@dataclass(frozen=True)
class MonitoredWindow(Artifact):
    """A window of requests.

    window.json     a WindowRecord
    report.html     the same for a person to look at
    metrics.prom    its numbers for Prometheus
    again.json      the WindowRecords of earlier windows that were measured again, the oldest first
    """

    FILE: ClassVar[str] = "window.json"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.prom"

    @property
    def again(self) -> Path:
        return self.root / "again.json"

    def read_again(self) -> list[WindowRecord]:
        """Returns the records of earlier windows, none if there are none; a ValueError if the content is no such."""
        from pydantic import TypeAdapter

        return TypeAdapter(list[WindowRecord]).validate_json(self.again.read_bytes()) if self.again.is_file() else []

    def write_again(self, windows: list[WindowRecord]) -> None:
        """Writes the records of earlier windows."""
        atomic.write_text(self.again, json.dumps(windows, allow_nan=False))

    def read(self) -> WindowRecord:
        """Returns the record; an OSError if there is no file, a ValueError if its content is no WindowRecord."""
        from pydantic import TypeAdapter

        return TypeAdapter(WindowRecord).validate_json(self.path.read_bytes())

    def write(self, window: WindowRecord) -> None:
        """Writes the record; a ValueError if a value is not finite, because JSON has no such numbers."""
        atomic.write_text(self.path, json.dumps(window, indent=1, allow_nan=False))

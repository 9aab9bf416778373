"""The artifacts of gates: what came of an evaluation, and whether a model is blessed."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NotRequired, TypedDict

from penstock.core.artifacts.artifact import Artifact
from penstock.core.artifacts.evaluation_summary import EvaluationSummary
from penstock.core.artifacts.models import SavedModel
from penstock.core.errors import ModelError
from penstock.core.files import atomic, documents

OVERALL = "overall"  # the slice of all examples


@dataclass(frozen=True)
class ModelEvaluation(Artifact):
    """TFMA's results: a record for each slice in `metrics`, `plots` and `attributions`, and one in `validations`.

    The files are TFRecords without compression; `config` is an EvalRun as JSON. `summary` has the same numbers for
    people and scripts.
    """

    @property
    def metrics(self) -> Path:
        return self.root / "metrics-00000-of-00001.tfrecord"

    @property
    def plots(self) -> Path:
        return self.root / "plots-00000-of-00001.tfrecord"

    @property
    def attributions(self) -> Path:
        return self.root / "attributions-00000-of-00001.tfrecord"

    @property
    def validations(self) -> Path:
        return self.root / "validations.tfrecord"

    @property
    def config(self) -> Path:
        return self.root / "eval_config.json"

    @property
    def summary(self) -> Path:
        return self.root / "summary.json"

    def read_summary(self) -> EvaluationSummary:
        """Returns the summary; an OSError if there is no file, a ValueError if its content is none."""
        from pydantic import TypeAdapter

        return TypeAdapter(EvaluationSummary).validate_json(self.summary.read_bytes())

    def write_summary(self, summary: EvaluationSummary) -> None:
        """Writes the summary; a ValueError if a value is not finite, because JSON has no such numbers."""
        atomic.write_text(self.summary, documents.json_text(summary, allow_nan=False))


class Reason(TypedDict):
    """One threshold of an evaluation in one slice: the value that was measured, and whether it passes.

    `value` is None if the metric was not computed, is not defined or not finite. `metric` is TFMA's name of the metric;
    only `sentence` says which output or class it is about. `threshold` is in words, such as "at least 0.8". `missed_by`
    is how far the value is from a threshold that it does not reach, as a share of that threshold.
    """

    metric: str
    slice: str
    value: float | None
    threshold: str
    passed: bool
    sentence: str
    missed_by: NotRequired[float]


def not_met(reasons: Iterable[Reason]) -> list[Reason]:
    """Returns those that do not pass, worst first, those of all examples before those of slices.

    What has no value is worse than what has. Verdicts of earlier versions do not say by how much a threshold is missed:
    they are in the order that they were.
    """
    return sorted(
        (reason for reason in reasons if not reason["passed"]),
        key=lambda reason: (reason["slice"] != OVERALL, reason["value"] is not None, -reason.get("missed_by", 0.0)),
    )


class Verdict(TypedDict):
    """Whether a model is blessed, which models were compared (URIs), when (ISO 8601), and why.

    `notes` are sentences to bear in mind: of what was evaluated, not of the model.
    """

    blessed: bool
    model: str
    baseline_model: str | None
    created: str
    reasons: list[Reason]
    notes: NotRequired[list[str]]


@dataclass(frozen=True)
class ModelValidation(Artifact):
    """`validation.json`: a Verdict."""

    FILE: ClassVar[str] = "validation.json"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def read(self) -> Verdict:
        """Returns the verdict; an OSError if there is no file, a ValueError if its content is no Verdict."""
        from pydantic import TypeAdapter

        return TypeAdapter(Verdict).validate_json(self.path.read_bytes())

    def write(self, verdict: Verdict) -> None:
        """Writes the verdict; a ValueError if a value is not finite, because JSON has no such numbers."""
        atomic.write_text(self.path, documents.json_text(verdict, indent=1, allow_nan=False))


@dataclass(frozen=True)
class ModelBlessing(Artifact):
    """An empty file `BLESSED` or `NOT_BLESSED`."""

    BLESSED: ClassVar[str] = "BLESSED"
    NOT_BLESSED: ClassVar[str] = "NOT_BLESSED"

    def write(self, blessed: bool) -> None:
        """Writes the mark. Readers trust it, so it is the last output to write."""
        atomic.write_bytes(self.root / (self.BLESSED if blessed else self.NOT_BLESSED), b"")

    def read(self) -> bool:
        """Returns whether the model is blessed; a ModelError if the folder holds both marks or none."""
        return _read_mark(self.root, self.BLESSED, self.NOT_BLESSED)


@dataclass(frozen=True)
class InfraBlessing(Artifact):
    """An empty file `INFRA_BLESSED` or `INFRA_NOT_BLESSED`.

    stamped_model/   the model with warm-up requests, if it was blessed with such; metadata `has_model` is 1 then
    """

    BLESSED: ClassVar[str] = "INFRA_BLESSED"
    NOT_BLESSED: ClassVar[str] = "INFRA_NOT_BLESSED"

    @property
    def stamped_model(self) -> SavedModel:
        return SavedModel(self.root / "stamped_model")

    def clear(self) -> None:
        """Removes what an earlier attempt of the task has written."""
        for name in (self.BLESSED, self.NOT_BLESSED):
            (self.root / name).unlink(missing_ok=True)
        shutil.rmtree(self.stamped_model.root, ignore_errors=True)

    def write(self, blessed: bool) -> None:
        """Writes the mark. Readers trust it, so it is the last output to write."""
        atomic.write_bytes(self.root / (self.BLESSED if blessed else self.NOT_BLESSED), b"")

    def read(self) -> bool:
        """Returns whether the model could be served; a ModelError if the folder holds both marks or none."""
        return _read_mark(self.root, self.BLESSED, self.NOT_BLESSED)


class Check(TypedDict):
    """One thing that was asked of a model in its server, and whether it passes.

    `value` is None where nothing was measured, `limit` where nothing is required. `name` says what was measured, with
    its unit: `cold_start_seconds`.
    """

    name: str
    value: float | None
    limit: float | None
    passed: bool
    sentence: str


class InfraVerdict(TypedDict):
    """Whether a model server takes a model and answers with it, when this was tried (ISO 8601), and why.

    `checked` is False where nothing was tried, since no model server takes a model of its kind: then it is blessed.
    `server` says which server it was, and `log` has the last lines of what it said.
    """

    blessed: bool
    checked: bool
    model: str
    server: str
    created: str
    checks: list[Check]
    log: list[str]


@dataclass(frozen=True)
class InfraValidation(Artifact):
    """`infra_validation.json`: an InfraVerdict. Metadata `final` is 0 if the model may be blessed another time."""

    FILE: ClassVar[str] = "infra_validation.json"
    FINAL: ClassVar[str] = "final"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def read(self) -> InfraVerdict:
        """Returns the verdict; an OSError if there is no file, a ValueError if its content is no InfraVerdict."""
        from pydantic import TypeAdapter

        return TypeAdapter(InfraVerdict).validate_json(self.path.read_bytes())

    def write(self, verdict: InfraVerdict) -> None:
        """Writes the verdict; a ValueError if a value is not finite, because JSON has no such numbers."""
        atomic.write_text(self.path, documents.json_text(verdict, indent=1, allow_nan=False))


def _read_mark(folder: Path, blessed: str, not_blessed: str) -> bool:
    marks = {name for name in (blessed, not_blessed) if (folder / name).is_file()}
    if len(marks) != 1:
        present = " and ".join(sorted(marks)) or "neither"
        raise ModelError(f"blessing at {folder}: expected one of {blessed} and {not_blessed}, found {present}")
    return marks == {blessed}

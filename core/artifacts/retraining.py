"""Retrainings that come of monitored windows or of a person: why, what holds them back, what became of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NotRequired, TypedDict

from penstock.core.artifacts.artifact import Artifact
from penstock.core.artifacts.state import StateFiles
from penstock.core.files import atomic, documents

# What speaks for a retraining, and what holds it back.
type SignalKind = Literal["drift", "performance", "age", "new_spans", "new_rows", "person"]
type HoldKind = Literal[
    "under_way",
    "waiting",
    "same_data",
    "older_window",
    "old_baseline",
    "cool_down",
    "max_per_week",
    "budget",
    "rejected",
]
# It waits for a person; it is to be submitted; it runs; it has ended; a person does not want it.
type Status = Literal["waiting", "due", "running", "done", "failed", "rejected"]
# What runs it, or is asked to; "" before any was.
type Server = Literal["", "local", "kubeflow", "vertex"]
# What was decided on a window: nothing speaks for a retraining; something does and is held back; a retraining waits for
# a person; there is one.
type Outcome = Literal["not_needed", "held_back", "waiting", "retrains"]
# What people are told of one: it waits for a person, or is held back; its run has started, could not be started, is
# done, or has failed.
type NoticeKind = Literal["waiting", "held_back", "started", "not_started", "done", "failed"]


class Signal(TypedDict):
    """What speaks for a retraining: a value beyond its limit, and the same in words. Of a person both are None."""

    kind: SignalKind
    name: str
    value: float | None
    limit: float | None
    sentence: str


class Hold(TypedDict):
    """What holds a retraining back, in words."""

    kind: HoldKind
    sentence: str


class Retraining(TypedDict):
    """A retraining.

    Args:
        id: The name of its run, by which it is found again on every target.
        pipeline: The training pipeline's name.
        model: The model's name on its server; "" where there is only one.
        signals: What speaks for it.
        begin: The first moment of the window that it comes of (ISO 8601); "" if it is a person's.
        end: The first moment after it.
        report: The address of the window's page.
        baseline: What the window was compared with.
        fingerprint: Of the data that it trains on, as it was when this was decided; "" where nobody looked.
        spans: The spans of the data, in words.
        status: What has become of it.
        decided: When it was decided on.
        answered: Who approved or rejected it, and when; "" where nobody was asked, or nobody has answered.
        server: What runs it, or has been asked to: no other starts it. Records of before there was this have none.
        run: The id of its run on a server, or the run's folder; "" before it was submitted.
        link: The address of the page that shows the run.
        attempts: How often it was started, or refused: more than once where the process that ran it was killed.
        seconds: How long its run took, or has run so far.
        error: Why it failed, or could not be started.
    """

    id: str
    pipeline: str
    model: str
    signals: list[Signal]
    begin: str
    end: str
    report: str
    baseline: str
    fingerprint: str
    spans: str
    status: Status
    decided: str
    answered: str
    server: NotRequired[Server]
    run: str
    link: str
    attempts: int
    seconds: float
    error: str


class RetrainingDecision(TypedDict):
    """What was decided on a window.

    `signals` are what speaks for a retraining, `holds` what holds it back, `retraining` is the one that comes of it, or
    the one that waits or is under way already.
    """

    model: str
    begin: str
    end: str
    outcome: Outcome
    signals: list[Signal]
    holds: list[Hold]
    retraining: Retraining | None


class RetrainingNotice(TypedDict):
    """What people are told of a retraining, each once.

    Args:
        id: The same whenever it is made anew.
        kind: What has become of the retraining.
        retraining: Its id, which is its run's name; "" of one that is held back.
        pipeline: The training pipeline's name.
        model: The model's name on its server.
        signals: What speaks for it.
        holds: What holds it back.
        policy: By which policy this was decided, in the words of its keys; "" if a person has.
        begin: The first moment of the window that it comes of (ISO 8601); "" if it is a person's.
        end: The first moment after it.
        spans: The spans of the data, in words.
        approval: The command that approves it, if it waits.
        run: The id of its run on a server, or the run's folder; "" where there is none.
        link: The address of the page that shows the run.
        seconds: How long its run took, of one that has ended.
        error: Why it failed, or could not be started.
        report: The address of the window's page.
    """

    id: str
    kind: NoticeKind
    retraining: str
    pipeline: str
    model: str
    signals: list[Signal]
    holds: list[Hold]
    policy: str
    begin: str
    end: str
    spans: str
    approval: str
    run: str
    link: str
    seconds: float
    error: str
    report: str


def sentence(signals: list[Signal]) -> str:
    """Returns why there is a retraining, in a line."""
    return "; ".join(signal["sentence"].rstrip(".") for signal in signals)


@dataclass(frozen=True)
class RetrainingRecord(Artifact):
    """`retraining.json`: a RetrainingDecision."""

    FILE: ClassVar[str] = "retraining.json"

    @property
    def path(self) -> Path:
        return self.root / self.FILE

    def read(self) -> RetrainingDecision:
        """Returns the decision; an OSError if there is no file, a ValueError if its content is none."""
        from pydantic import TypeAdapter

        return TypeAdapter(RetrainingDecision).validate_json(self.path.read_bytes())

    def write(self, decision: RetrainingDecision) -> None:
        """Writes the decision; a ValueError if a value is not finite, because JSON has no such numbers."""
        atomic.write_text(self.path, documents.json_text(decision, indent=1, allow_nan=False))


class RetrainingState(StateFiles):
    """The retrainings of pipelines: retraining_state.json, in an object store retraining_state-000000000042.json."""

    NAME: ClassVar[str] = "retraining_state"

    def held_by_run(self, retraining: str) -> Path:
        """Returns the file that a run on this machine holds a lock on."""
        return self.root / f"{retraining}.lock"

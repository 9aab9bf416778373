"""The record of a run: `<run>/run.json`, written anew after every task, so that a killed run leaves one too."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypedDict

from pydantic import AfterValidator, Field

from penstock.core.artifacts import (
    InfraValidation,
    InfraVerdict,
    ModelEvaluation,
    ModelValidation,
    PushedVersion,
    Verdict,
    pushed_versions,
)
from penstock.core.artifacts.evaluation_summary import EvaluationSummary
from penstock.core.credentials import masks
from penstock.core.errors import UserError
from penstock.core.failures import Failure
from penstock.core.files import atomic, temporary
from penstock.pipelines import registry
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.origin import Origin
from penstock.pipelines.local.records.reading import tell_passed_over, validated

FILE = "run.json"


def _below(name: str) -> str:
    """Returns a path below a run's folder as it is; a ValueError for one that leads out of it."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or not name.isprintable():
        raise ValueError("expected a path below the run's folder")
    return name


type Status = Literal["running", "done", "cached", "failed", "skipped", "interrupted"]
# Their bounds are those of what shows them: a clock's years, a column of a table.
type Below = Annotated[str, AfterValidator(_below)]
type Time = Annotated[float, Field(ge=0, lt=253_402_300_800)]  # Unix seconds, to the end of the year 9999
type Seconds = Annotated[float, Field(ge=0, lt=1e12)]
type Count = Annotated[int, Field(ge=-(2**63), lt=2**63)] | Annotated[float, Field(ge=-1e300, le=1e300)]
type ProcessId = Annotated[int, Field(ge=0, lt=2**31)]


class Output(TypedDict):
    """An output artifact: where it is, and what the task has written of it into its metadata."""

    uri: str
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Artifact:
    """An artifact of a run: the task that has made it, the output's name, its place, its metadata."""

    task: "TaskRecord"
    name: str
    path: Path
    metadata: dict[str, Any]

    def origin(self) -> list[tuple[str, str]]:
        """Returns where the rows of Examples are from, by name; nothing of files."""
        told = self.metadata.get("origin")
        return [(name, str(value)) for name, value in json.loads(told).items()] if told else []

    @property
    def is_listed(self) -> bool:
        """Whether the registry lists the output for the component: LatestBlessedModel's model is another run's."""
        component = registry.component(self.task.key.component) if self.task.key else None
        return component is not None and self.name in component.outputs


@dataclass
class TaskRecord:
    """What is known of a task. `status`: running, done, cached, failed, skipped or interrupted.

    `name` is the task's folder below the run's: loops put their tasks a folder deeper. `seconds` are the task's own;
    before them it `waited`, in seconds, while libraries were imported, which serves all later tasks as well. It
    `started` to wait at that time.
    """

    name: Below
    status: Status
    reason: str = ""
    key: Key | None = None
    seconds: Seconds | None = None
    waited: Seconds = 0.0
    counts: dict[str, Count] = field(default_factory=dict)
    inputs: dict[str, list[str]] = field(default_factory=dict)
    outputs: dict[Below, Output] = field(default_factory=dict)
    failure: Failure | None = None
    started: Time | None = None

    @property
    def finished(self) -> bool:
        """Whether its outputs are there."""
        return self.status in ("done", "cached")


@dataclass
class RunRecord:
    """A run: its arguments and its tasks in the order they ran. `status`: running, done, failed or interrupted.

    `image` is the image that its tasks run in, "" for this environment; `origin` is what it was made of. `process` is
    the process that runs it. A run that was killed cannot say so: it is read as interrupted.
    """

    name: str
    folder: Path
    arguments: dict[str, Any]
    status: Status = "running"
    started: Time = field(default_factory=time.time)
    seconds: Seconds | None = None
    tasks: list[TaskRecord] = field(default_factory=list)
    process: ProcessId = field(default_factory=os.getpid)
    image: str = ""
    origin: Origin = field(default_factory=Origin)

    def task(self, name: str) -> TaskRecord | None:
        """Returns the task of that name; None if it has not begun."""
        return next((task for task in self.tasks if task.name == name), None)

    def artifacts(self) -> Iterator[Artifact]:
        """Yields every output artifact, in the tasks' order; if the run's folder was moved, by its new place."""
        for task in self.tasks:
            for name, output in sorted(task.outputs.items()):
                here = self.folder / task.name / name
                yield Artifact(task, name, here if here.exists() else Path(output["uri"]), output["metadata"])

    def made(self, output: registry.Output) -> Iterator[Artifact]:
        """Yields the artifacts of an output, of the components that the registry lists it for.

        KFP may have called their tasks anything, and there may be several. What is there no longer is left out.
        """
        for artifact in self.artifacts():
            if artifact.name == output and artifact.is_listed and artifact.task.finished and artifact.path.exists():
                yield artifact

    def verdicts(self) -> Iterator[Verdict]:
        """Yields what was said of the models that were evaluated."""
        for validation in map(ModelValidation, self._places("validation")):
            yield from _readable(validation.path, validation.read)

    def infra_verdicts(self) -> Iterator[InfraVerdict]:
        """Yields what was said of the models that were tried in a model server."""
        for validation in map(InfraValidation, self._places("infra_validation")):
            yield from _readable(validation.path, validation.read)

    def evaluations(self) -> Iterator[EvaluationSummary]:
        """Yields the summaries of the evaluations; there is none of an older version's."""
        for evaluation in map(ModelEvaluation, self._places("evaluation")):
            yield from _readable(evaluation.summary, evaluation.read_summary)

    def _places(self, output: registry.Output) -> Iterator[Path]:
        return (artifact.path for artifact in self.made(output))

    def spans(self) -> Iterator[tuple[str, str]]:
        """Yields which spans of the data were read, in words, and the name of the task that has read them."""
        for artifact in self.made("examples"):
            if artifact.metadata.get("spans"):
                yield artifact.task.name, str(artifact.metadata["spans"])

    def pushed(self) -> Iterator[PushedVersion]:
        """Yields the places that models were pushed to, each with its version there."""
        for artifact in self.made("pushed_model"):
            yield from pushed_versions(artifact.metadata)

    def write(self) -> None:
        """Writes the record into the run's folder, whole or not at all, with masks in place of credentials."""
        document = masks.masked_value(asdict(self) | {"folder": self.folder.name})
        for entry, task in zip(document["tasks"], self.tasks, strict=True):
            entry["key"] = task.key and asdict(task.key)  # it has fingerprints, and is compared with the next run's
        text = json.dumps(document, indent=1, default=str, ensure_ascii=False)
        atomic.write_bytes(self.folder / FILE, text.encode(errors="replace"))  # a path may not be UTF-8


def _readable[T](path: Path, read: Callable[[], T]) -> Iterator[T]:
    """Yields what a file of an artifact holds; one that cannot be read is passed over with a word."""
    try:
        yield read()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        tell_passed_over(path, str(error))


def read(folder: Path) -> RunRecord:
    """Reads a run's record. Raises an OSError or a ValueError if there is none or it is damaged."""
    run = validated(RunRecord, folder / FILE, process=0)
    run.folder = folder
    if run.status == "running" and not _is_alive(run.process):
        run.status = "interrupted"
        for task in run.tasks:
            task.status = "interrupted" if task.status == "running" else task.status
    return run


def require(folder: Path) -> RunRecord:
    """Reads a run's record; a UserError if there is none or it is damaged."""
    try:
        return read(folder)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder}: expected a run's folder, with {FILE} in it") from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder / FILE}: expected the record of a run, which `penstock run` writes: {error}"
        ) from None


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process > 0


def earlier(root: Path, pipeline: str) -> Iterator[RunRecord]:
    """Yields the records of the pipeline's runs under the root, the newest first; a sentence tells of a damaged one."""
    for path in sorted(root.glob(f"{pipeline}-*/{FILE}"), reverse=True):
        try:
            yield read(path.parent)
        except FileNotFoundError:  # deleted just now
            continue
        except (OSError, ValueError) as error:
            tell_passed_over(path, str(error))


def remove_leftovers(root: Path, pipeline: str) -> None:
    """Removes the half-written outputs of tasks that were interrupted."""
    for run in earlier(root, pipeline):
        for task in run.tasks:
            if task.status == "interrupted":
                temporary.remove_leftovers(run.folder / task.name)


def last_keys(root: Path, pipeline: str) -> dict[str, Key]:
    """Returns, by task, the key of the newest run in which the task finished."""
    keys: dict[str, Key] = {}
    for run in earlier(root, pipeline):
        for task in run.tasks:
            if task.key and task.finished:
                keys.setdefault(task.name, task.key)
    return keys


def unfinished(root: Path, pipeline: str, task: str, key: Key) -> Path | None:
    """Returns the task's folder in the newest run in which it had this key and was interrupted or failed."""
    for run in earlier(root, pipeline):
        earlier_task = run.task(task)
        if earlier_task and earlier_task.status in ("failed", "interrupted") and earlier_task.key == key:
            return run.folder / task
    return None

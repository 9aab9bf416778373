"""What came of a run of this machine, in the few values by which runs are told apart."""

import datetime
from collections.abc import Mapping
from typing import TypedDict

from penstock.core import metrics
from penstock.core.artifacts import PushedVersion, evaluation_summary
from penstock.core.artifacts.evaluation_summary import EvaluationSummary
from penstock.core.artifacts.gates import OVERALL
from penstock.core.page import numbers
from penstock.pipelines.local.records.record import RunRecord, Status

_ROWS = "rows"  # as ExampleGen counts them
_SHOWN = 3  # metrics in a line


class TaskResult(TypedDict):
    """A task of a run: `seconds` are its own, `waited` those of imports before it; `reason` says why it ran or not."""

    task: str
    status: Status
    seconds: float | None
    waited: float
    counts: dict[str, int | float]
    reason: str
    spans: str


class Pushed(TypedDict):
    """A place that a run's model was pushed to, its version there and its percentage of the requests."""

    place: str
    version: str
    percent: int


class RunResult(TypedDict):
    """A run.

    `started` is ISO 8601 with the machine's offset, `rows` how many were read. `metrics` are those over all examples
    of the evaluation, None if not defined, by TFMA's names; where these have a class's number, it is its place in
    `classes`. `verdict` is "" where nothing was evaluated, and `blessed` then None.
    """

    run: str
    folder: str
    pipeline: str
    status: Status
    started: str
    seconds: float | None
    rows: int | None
    main_metric: str
    metrics: dict[str, float | None]
    classes: list[str]
    blessed: bool | None
    verdict: str
    pushed: list[Pushed]


def result(run: RunRecord) -> RunResult:
    """Returns what came of a run, also of one that goes on."""
    main_metric, measured, classes = evaluated(run)
    return RunResult(
        run=run.folder.name,
        folder=str(run.folder),
        pipeline=run.name,
        status=run.status,
        started=datetime.datetime.fromtimestamp(run.started).astimezone().isoformat(timespec="seconds"),
        seconds=run.seconds,
        rows=rows(run),
        main_metric=main_metric,
        metrics=measured,
        classes=classes,
        blessed=_blessed(run),
        verdict=verdict(run),
        pushed=[_pushed(one) for one in run.pushed()],
    )


def tasks(run: RunRecord) -> list[TaskResult]:
    """Returns the tasks of a run, in the order they ran."""
    spans = dict(run.spans())
    return [
        TaskResult(
            task=task.name,
            status=task.status,
            seconds=task.seconds,
            waited=task.waited,
            counts=task.counts,
            reason=task.reason,
            spans=spans.get(task.name, ""),
        )
        for task in run.tasks
    ]


def rows(run: RunRecord) -> int | None:
    """Returns how many rows of data a run has read; None if nobody counted them."""
    counts = [artifact.task.counts[_ROWS] for artifact in run.made("examples") if _ROWS in artifact.task.counts]
    return int(sum(counts)) if counts else None


def evaluated(run: RunRecord) -> tuple[str, dict[str, float | None], list[str]]:
    """Returns a run's main metric, "" for none, what was measured over all examples, it first, and the classes."""
    for summary in run.evaluations():
        return summary["main_metric"], _ordered(_overall(summary), summary["main_metric"]), summary["classes"]
    values = {
        reason["metric"]: reason["value"]
        for one in run.verdicts()
        for reason in one["reasons"]
        if reason["slice"] == OVERALL
    }
    return next(iter(values), ""), values, []


def shown(result: RunResult) -> str:
    """Returns the first of a run's metrics in a line: `auc 0.912, accuracy 0.87`."""
    told = metrics.in_the_labels_units(result["metrics"])
    every = [(name, value) for name, value in told.items() if metrics.tells_quality(name)]
    named = [(metrics.named(name, result["classes"]), value) for name, value in every[:_SHOWN]]
    return ", ".join(f"{name} {numbers.number(value) or '-'}" for name, value in named)


def verdict(run: RunRecord) -> str:
    """What became of the run's model: pushed, blessed, not blessed; "" if it was not evaluated."""
    versions = [one.version for one in run.pushed()]
    if versions:
        return f"pushed: {', '.join(versions)}"
    if not all(one["blessed"] for one in run.infra_verdicts()):
        return "not blessed by the model server"
    return ", ".join("blessed" if one["blessed"] else "not blessed" for one in run.verdicts())


def _blessed(run: RunRecord) -> bool | None:
    said = [one["blessed"] for one in (*run.verdicts(), *run.infra_verdicts())]
    return all(said) if said else None


def _overall(summary: EvaluationSummary) -> dict[str, float | None]:
    part = evaluation_summary.overall(summary)
    return {name: measure["value"] for name, measure in part["metrics"].items()} if part else {}


def _ordered(measured: Mapping[str, float | None], first: str) -> dict[str, float | None]:
    return dict(sorted(measured.items(), key=lambda item: item[0] != first))


def _pushed(pushed: PushedVersion) -> Pushed:
    return Pushed(place=pushed.place, version=pushed.version, percent=pushed.percent)

"""The runs of a pipeline on this machine: what came of them."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from penstock.core import page
from penstock.core.artifacts import PushedVersion
from penstock.core.errors import UserError
from penstock.core.suggestions import did_you_mean
from penstock.core.text.aligned import aligned
from penstock.core.text.printable import printable
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local import results
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.report import display, learnt, model_lines, warnings
from penstock.pipelines.local.results import RunResult, TaskResult


def newest(config: Config) -> RunRecord:
    """Returns the newest run of the pipeline; a UserError if there is none yet."""
    for run in record.earlier(Path(config.pipeline_root), config.name):
        return run
    raise UserError(f"no run of {config.name} in {config.pipeline_root} yet: `penstock run` makes one")


def named(root: Path, run: str) -> RunRecord:
    """Returns the run of a folder, or of a name below the pipeline root; a UserError if there is none."""
    for folder in (Path(run), root / run):
        if (folder / record.FILE).is_file():
            return record.require(folder.absolute())
    names = sorted(path.parent.name for path in root.glob(f"*/{record.FILE}"))
    raise UserError(f"{run}: no such run; {did_you_mean(run, names, 'expected its folder, or one of')}")


def newest_two(config: Config) -> tuple[RunRecord, RunRecord]:
    """Returns the run before the newest one, and the newest; a UserError if there are not two."""
    two = list(itertools.islice(record.earlier(Path(config.pipeline_root), config.name), 2))
    if len(two) < 2:
        raise UserError(f"expected two runs of {config.name} in {config.pipeline_root}, found {len(two)}")
    return two[1], two[0]


def listing(config: Config) -> list[RunResult]:
    """Returns all runs of the pipeline, the newest first."""
    return [results.result(run) for run in record.earlier(Path(config.pipeline_root), config.name)]


def listing_text(config: Config, listed: Sequence[RunResult]) -> str:
    """Returns runs as a table, a line each."""
    if not listed:
        return f"no run of {config.name} in {config.pipeline_root} yet"
    rows = [("run", "started", "status", "seconds", "rows", "metrics", "model"), *map(_row, listed)]
    return "\n".join(aligned(rows))


def _row(run: RunResult) -> tuple[str, ...]:
    seconds = "" if run["seconds"] is None else f"{run['seconds']:.1f}"
    rows = "" if run["rows"] is None else f"{run['rows']:,}"
    started = run["started"][: len("2026-11-30T02:50")].replace("T", " ")
    return run["run"], started, run["status"], seconds, rows, results.shown(run), run["verdict"]


def explanation_text(tasks: Sequence[TaskResult]) -> str:
    """Returns, a line for each task of a run, whether it ran and why, and which spans of the data it has read."""
    width = max((len(task["task"]) for task in tasks), default=0)
    lines = []
    for task in tasks:
        spans = "" if task["spans"] in task["reason"] else f"; spans read: {task['spans']}"
        lines.append(printable(f"{task['task']:{width}}  {task['status']:8} {task['reason']}{spans}"))
    return "\n".join(lines)


def summary_text(run: RunRecord) -> str:
    """Returns what is told at a run's end: its warnings, how good the model is, and where everything is."""
    lines = [""]  # the tasks are above
    verdicts = [*map(display.verdict_lines, run.verdicts()), *map(display.infra_verdict_lines, run.infra_verdicts())]
    evaluations = map(model_lines.lines, run.evaluations())
    paragraphs = [display.skipped_lines(run), warnings.lines(run), learnt.lines(run), *evaluations, *verdicts]
    for paragraph in map(list, paragraphs):
        lines += [*paragraph, ""] if paragraph else []
    lines += [f"spans read {spans}" for _, spans in run.spans()]
    lines += [f"pushed to  {_place(one)}" for one in run.pushed()]
    lines.append(f"run        {run.folder}")
    lines.append(f"report     {run.folder / page.FILE}")
    imports = sum(task.waited for task in run.tasks)
    lines.append(
        f"{run.status} in {run.seconds or 0:.1f} s" + (f", {imports:.1f} of them imports" if imports >= 0.1 else "")
    )
    return "\n".join(lines)


def _place(pushed: PushedVersion) -> str:
    """Says where a version is: in a folder of its own, or at an endpoint, where it may have a share of the requests."""
    if pushed.place.rpartition("/")[2] == pushed.version:
        return pushed.place
    share = f", {pushed.percent} % of the requests" if pushed.percent < 100 else ""
    return f"{pushed.place} (version {pushed.version}{share})"

"""The runs of a pipeline on this machine: what came of them."""

import time
from pathlib import Path

from penstock.core import page
from penstock.core.artifacts import PushedVersion
from penstock.core.errors import UserError
from penstock.core.text.printable import printable
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local.orchestrator import RunSummary
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.report import display, epochs, warnings


def newest(config: Config) -> RunRecord:
    """Returns the newest run of the pipeline; a UserError if there is none yet."""
    for run in record.earlier(Path(config.pipeline_root), config.name):
        return run
    raise UserError(f"no run of {config.name} in {config.pipeline_root} yet: `penstock run` makes one")


def listing(config: Config) -> str:
    """Returns all runs of the pipeline, the newest first, a line each."""
    rows = [("run", "started", "status", "seconds", "model")]
    for run in record.earlier(Path(config.pipeline_root), config.name):
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started))
        seconds = "" if run.seconds is None else f"{run.seconds:.1f}"
        rows.append((run.folder.name, started, run.status, seconds, _verdict(run)))
    if len(rows) == 1:
        return f"no run of {config.name} in {config.pipeline_root} yet"
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def explain(run_folder: Path) -> str:
    """Returns, a line for each task of a run, whether it ran and why, and which spans of the data it has read."""
    run = record.require(run_folder)
    width, spans = max((len(task.name) for task in run.tasks), default=0), dict(run.spans())
    lines = []
    for task in run.tasks:
        read = spans.get(task.name, "")
        told = "" if read in task.reason else f"; spans read: {read}"
        lines.append(printable(f"{task.name:{width}}  {task.status:8} {task.reason}{told}"))
    return "\n".join(lines)


def summary_text(summary: RunSummary) -> str:
    """Returns what is told at a run's end: the tasks, their warnings, how good the model is, where everything is."""
    run = record.read(summary.run_folder)
    lines = [display.table(run), ""]
    verdicts = [*map(display.verdict_lines, run.verdicts()), *map(display.infra_verdict_lines, run.infra_verdicts())]
    paragraphs = [warnings.lines(run), epochs.lines(run), *verdicts]
    for paragraph in map(list, paragraphs):
        lines += [*paragraph, ""] if paragraph else []
    lines += [f"spans read {spans}" for _, spans in run.spans()]
    lines += [f"pushed to  {_place(one)}" for one in run.pushed()]
    lines.append(f"run        {summary.run_folder}")
    lines.append(f"report     {summary.run_folder / page.FILE}")
    imports = sum(task.waited for task in summary.tasks)
    lines.append(
        f"{summary.status} in {summary.seconds:.1f} s" + (f", {imports:.1f} of them imports" if imports >= 0.1 else "")
    )
    return "\n".join(lines)


def _place(pushed: PushedVersion) -> str:
    """Says where a version is: in a folder of its own, or at an endpoint, where it may have a share of the requests."""
    if pushed.place.rpartition("/")[2] == pushed.version:
        return pushed.place
    share = f", {pushed.percent} % of the requests" if pushed.percent < 100 else ""
    return f"{pushed.place} (version {pushed.version}{share})"


def _verdict(run: RunRecord) -> str:
    """What became of the run's model: pushed, blessed, not blessed; "" if it was not evaluated."""
    versions = [one.version for one in run.pushed()]
    if versions:
        return f"pushed: {', '.join(versions)}"
    if not all(verdict["blessed"] for verdict in run.infra_verdicts()):
        return "not blessed by the model server"
    return ", ".join("blessed" if verdict["blessed"] else "not blessed" for verdict in run.verdicts())

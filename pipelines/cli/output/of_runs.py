"""The answers about runs of this machine: a run's at its end, the list of all, why each task ran."""

from pathlib import Path
from typing import TypedDict

from penstock.core import page
from penstock.core.files import atomic
from penstock.pipelines.cli.output.answer import Answer, Failure
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local import results, runs
from penstock.pipelines.local.comparison import page as comparison_page
from penstock.pipelines.local.comparison import text
from penstock.pipelines.local.comparison.comparison import Comparison, compare
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.results import RunResult, TaskResult
from penstock.pipelines.local.story import story
from penstock.pipelines.local.story import text as story_text
from penstock.pipelines.local.story.story import Story
from penstock.pipelines.local.summary import RunSummary


class Run(TypedDict):
    """A run with its tasks; `report` is the path of its page."""

    run: RunResult
    tasks: list[TaskResult]
    report: str


class Explained(Run):
    """A run, and the whole story of its model."""

    story: Story


class Runs(TypedDict):
    """The runs of a pipeline, the newest first."""

    pipeline: str
    pipeline_root: str
    runs: list[RunResult]


class Diff(Comparison):
    """A comparison; `page` is the path of its page."""

    page: str


def ended(summary: RunSummary) -> Answer:
    """Returns the answer of a run that has just ended."""
    run = record.read(summary.run_folder)
    failure = Failure.of(summary.error) if summary.error else None
    return Answer(_run(run), lambda: runs.summary_text(run), failure)


def explained(run: RunRecord) -> Answer:
    """Returns why each task of a run ran, or did not, and the story of its model."""
    told = story.of(run)
    lines = [runs.explanation_text(results.tasks(run)), "", *story_text.lines(told)]
    return Answer(Explained(**_run(run), story=told), lambda: "\n".join(lines))


def listed(config: Config) -> Answer:
    """Returns all runs of a pipeline."""
    listing = runs.listing(config)
    result = Runs(pipeline=config.name, pipeline_root=str(config.pipeline_root), runs=listing)
    return Answer(result, lambda: runs.listing_text(config, listing))


def compared(first: RunRecord, second: RunRecord, output: Path | None) -> Answer:
    """Returns what differs between two runs, which is written as a page as well."""
    comparison = compare(first, second)
    path = output or second.folder / f"against-{first.folder.name}.html"
    atomic.write_text(path, comparison_page.html(comparison))
    return Answer(Diff(**comparison, page=str(path)), lambda: f"{text.text(comparison)}\n\npage  {path}")


def _run(run: RunRecord) -> Run:
    return Run(run=results.result(run), tasks=results.tasks(run), report=str(run.folder / page.FILE))

"""A run of this machine, and the functions that make or find runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core import page
from penstock.core.artifacts import Examples
from penstock.core.artifacts.evaluation_summary import EvaluationSummary
from penstock.core.errors import UserError
from penstock.core.suggestions import did_you_mean, listed
from penstock.pipelines.api.report import Report
from penstock.pipelines.local import results
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.record import Artifact
from penstock.pipelines.local.results import RunResult, TaskResult

if TYPE_CHECKING:
    import pandas as pd


class Run:
    """A run: what came of it, and its artifacts. Errors are PenstockErrors, each of one sentence."""

    def __init__(self, folder: str | Path):
        """Takes the folder of a run, which `penstock run` has told."""
        self._record = record.require(Path(folder).absolute())

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self._record.folder.name

    @property
    def folder(self) -> Path:
        """Where its artifacts are."""
        return self._record.folder

    @property
    def result(self) -> RunResult:
        """Its status, times, rows, metrics and verdict, as `penstock runs --json` has them."""
        return results.result(self._record)

    @property
    def tasks(self) -> list[TaskResult]:
        """Its tasks, in the order they ran, as `penstock explain --json` has them."""
        return results.tasks(self._record)

    @property
    def metrics(self) -> dict[str, float | None]:
        """What was measured over all examples of the evaluation, the main metric first; None if not defined."""
        return results.evaluated(self._record)[1]

    @property
    def evaluation(self) -> EvaluationSummary:
        """All that was measured: of each split and slice, of the baseline, with what draws the curves."""
        for summary in self._record.evaluations():
            return summary
        raise UserError(f"{self.name} has evaluated no model")

    @property
    def report(self) -> Report:
        """Its page, which a notebook shows."""
        return Report(self.folder / page.FILE)

    def examples(self, split: str = "eval", rows: int | None = None) -> "pd.DataFrame":
        """Returns the examples of a split, or the first of them, as a data frame with a column for each feature.

        These are the examples as they were read; `artifact("cleaned_examples")` are those that ExampleCleaner has left.
        """
        folder = self.path("examples")
        splits = Examples(folder).splits()
        if split not in splits:
            raise UserError(f"{self.name} has no split {split!r}; {did_you_mean(split, splits)}")
        from penstock.components.scoring import frames

        return frames.examples(folder, split, rows)

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Returns what the run's model predicts for the rows of a data frame, with the frame's index.

        The frame has the columns of the training data; the label and others are ignored. Of a model without code the
        result has `prediction`, and for classes `probability` and `probability_<class>`, as of `penstock predict`.
        """
        from penstock.components.scoring import frames

        return frames.predictions(self.path("model"), frame)

    def artifact(self, name: str, task: str = "") -> Any:
        """Returns an output, such as "schema", opened with the library that owns it; `task` tells two of a name apart.

        See `penstock.pipelines.api.opening.open_artifact` for what becomes of which.
        """
        from penstock.pipelines.api import opening

        return opening.open_artifact(name, self.path(name, task))

    def path(self, name: str, task: str = "") -> Path:
        """Returns where an output is; `task` tells two of a name apart. `model` alone is the one that was trained."""
        every = [artifact for artifact in self._record.artifacts() if artifact.path.exists()]
        named = [artifact for artifact in every if artifact.name == name and task in ("", artifact.task.name)]
        named = [artifact for artifact in named if artifact.is_listed] or named
        tasks = sorted({artifact.task.name for artifact in named})
        if len(tasks) > 1:
            raise UserError(f"{self.name} has several outputs {name!r}: expected the task, one of {listed(tasks)}")
        if not named:
            raise UserError(f"{self.name} has no output {name!r}{_of(task)}; {_others(name, every)}")
        return named[0].path

    def __repr__(self) -> str:
        return f"<Run {self.name}: {results.shown(self.result) or self._record.status}>"


def _of(task: str) -> str:
    return f" of {task}" if task else ""


def _others(name: str, artifacts: list[Artifact]) -> str:
    return did_you_mean(name, sorted({artifact.name for artifact in artifacts}))


def run(
    config: str | Path = "pipeline.yaml", overrides: Mapping[str, Any] | None = None, no_cache: bool = False
) -> Run:
    """Runs a pipeline on this machine, as `penstock run` does; its progress is on standard error.

    Args:
        config: The configuration, or the folder of a pipeline.yaml.
        overrides: Values by keys of the configuration: `{"training.epochs": 3}`. Paths are relative to its folder.
        no_cache: Whether every task is to run, also those that are in the cache.

    Raises the PenstockError of the task that failed; what it says is what the command prints.
    """
    from penstock.pipelines.cli import options, terminal
    from penstock.pipelines.local import launch

    values = [(key, _written(value), key) for key, value in (overrides or {}).items()]
    summary = launch.launch(options.load(Path(config), values=values), terminal.warn, terminal.note, no_cache=no_cache)
    if summary.error:
        raise summary.error
    return Run(summary.run_folder)


def runs(config: str | Path = "pipeline.yaml") -> list[Run]:
    """Returns the runs of a pipeline on this machine, the newest first."""
    from penstock.pipelines.cli import options

    loaded = options.load(Path(config))
    return [Run(one.folder) for one in record.earlier(Path(loaded.pipeline_root), loaded.name)]


def _written(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value

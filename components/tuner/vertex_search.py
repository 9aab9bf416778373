"""Runs a search without code on Vertex AI's tuning service, as a HyperparameterTuningJob that the Tuner's task starts.

The target describes the job in the variable PENSTOCK_TUNING_SERVICE (pipelines/targets/jobs.py). The service chooses
the hyperparameters, and runs each trial as a job of its own (vertex_trial.py). This task waits, and writes the same
outputs as a search with KerasTuner. If the task is tried again, it follows the job that its earlier attempt started.
"""

import dataclasses
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.components.jobs import follow, launcher
from penstock.components.jobs.follow import Status
from penstock.components.jobs.vertex import HyperparameterTuningJobs
from penstock.components.tuner import executor
from penstock.components.tuner.executor import FOLDERS, Inputs
from penstock.components.tuner.vertex_trial import OF_ALL, TRIALS, TrialReport
from penstock.core import progress
from penstock.core.artifacts import TaskResult
from penstock.core.errors import ConfigError, ModuleError, PenstockError, SystemFailure
from penstock.trainer.network.hyperparameters import Hyperparameters
from penstock.trainer.tuning import default, failures, results, space, vertex_study
from penstock.trainer.tuning.default import Objective
from penstock.trainer.tuning.results import Results, Trial
from penstock.trainer.tuning.settings import CUSTOM_CONFIG, Search
from penstock.trainer.tuning.trials import Scored

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import study

_INFEASIBLE = "INFEASIBLE"


class _Jobs(HyperparameterTuningJobs):
    """The service's jobs; a job is cancelled as soon as a trial reports an error that all trials will have."""

    def __init__(self, connection: Mapping[str, Any], job: Mapping[str, Any], folder: Path) -> None:
        super().__init__(connection, job)
        self._error_of_all = folder / OF_ALL

    def status(self, job: str) -> Status:
        if self._error_of_all.is_file():
            self.cancel(job)
            raise failures.read(self._error_of_all)
        return super().status(job)


@dataclass(frozen=True)
class _Search:
    """A search: its settings and objective, and the folder in which its trials report."""

    settings: Search
    objective: Objective
    folder: Path


def run(service: Mapping[str, Any], name: str, arguments: Mapping[str, Any]) -> TaskResult:
    """Searches as executor.run does, with its arguments, by a job of the service.

    service: {"connection": …, "job": …} of PENSTOCK_TUNING_SERVICE. name: of the job.

    Raises what executor.run does. Raises a ConfigError for what the service cannot search, and for a place that trials
    cannot reach; a ServerError or ServerUnavailable if the job cannot be started or followed.
    """
    launcher.require_buckets(arguments, (*FOLDERS, "tuner_results"))
    names = {field.name for field in dataclasses.fields(Inputs)}
    inputs = Inputs(**{key: value for key, value in arguments.items() if key in names})
    with progress.task("Tuner") as counts:
        fn_args = inputs.fn_args()
        if CUSTOM_CONFIG not in (fn_args.custom_config or {}):
            raise ConfigError(
                "vertex.tuning_service: expected tuning.parameters, since the service only runs searches without code"
            )
        folder = Path(arguments["tuner_results"]) / TRIALS
        search = _Search(default.search_settings(fn_args), default.objective(fn_args), folder)
        search_results = _run(search, service, name, inputs)
        best = space.hyperparameters(search.settings.parameters, Hyperparameters.kinds())
        best.values = dict(search_results.best[0].values)
        outputs = {key: arguments[key] for key in ("best_hyperparameters", "tuner_results", "report")}
        result = executor.write(search_results, best.get_config(), **outputs)
        counts.show(trials=len(search_results.trials))
    return result


def _run(search: _Search, service: Mapping[str, Any], name: str, inputs: Inputs) -> Results:
    """Starts the job, or follows one that runs, and returns the results of its trials."""
    objective, kinds = search.objective, Hyperparameters.kinds()
    job = vertex_study.completed(service["job"], search.settings, kinds, objective.name, objective.direction)
    jobs = _Jobs(service["connection"], job, search.folder)

    def prepare() -> str:
        shutil.rmtree(search.folder, ignore_errors=True)
        return json.dumps({**dataclasses.asdict(inputs), TRIALS: str(search.folder)}, sort_keys=True)

    job_id, status = follow.end_of(jobs, name, prepare)
    trials = _trials(jobs.trials(job_id), search)
    for checkpoints in search.folder.glob("*/"):  # of trials that were stopped, or failed
        shutil.rmtree(checkpoints, ignore_errors=True)
    parameters = results.parameters(space.hyperparameters(search.settings.parameters, kinds))
    search_results = Results(objective.name, objective.direction, trials, parameters)
    if not status.succeeded or not search_results.best:
        ending = "" if status.succeeded else f"{job_id} ended as {status.state}: {status.error}"
        raise _failure(search_results, search.folder, ending)
    return search_results


def _trials(service_trials: "Sequence[study.Trial]", search: _Search) -> list[Trial]:
    """Returns the trials, from what the service knows about them and what they report."""
    ordered = sorted(service_trials, key=lambda trial: int(trial.id))
    trials = [_trial(trial, number, search) for number, trial in enumerate(ordered, 1)]
    others = [trial.score for trial in trials if trial.score is not None and not trial.stopped]
    return [
        dataclasses.replace(trial, score=results.no_better(trial.score, others, search.objective.direction))
        if trial.score is not None and trial.stopped and search.settings.cross_validation
        else trial
        for trial in trials
    ]


def _trial(trial: "study.Trial", number: int, search: _Search) -> Trial:
    kinds, report = Hyperparameters.kinds(), TrialReport.read(search.folder, trial.id)
    tried = {parameter.parameter_id: parameter.value for parameter in trial.parameters}
    values = {name: kinds[name](tried[name]) for name in search.settings.parameters if name in tried}
    measured = {metric.metric_id: metric.value for metric in trial.final_measurement.metrics}
    score = Scored(report.scores).score if report.ended else measured.get(search.objective.name, math.nan)
    if report.error or not math.isfinite(score) or (trial.state.name == _INFEASIBLE and not report.ended):
        unmeasured = f"it reported no {search.objective.name}: see the log of its job"
        error = report.error or trial.infeasible_reason or unmeasured
        return Trial(trial.id, number, None, values, error=" ".join(error.split()))
    folds = report.scores if search.settings.cross_validation else ()
    return Trial(trial.id, number, score, values, Scored(folds).deviation, folds, stopped=not report.ended)


def _failure(search_results: Results, folder: Path, ending: str) -> PenstockError:
    """Returns the error of a search without a result; `ending` says how its job failed, "" if it did not."""
    failed = [trial for trial in search_results.trials if trial.score is None]
    if not failed:
        return SystemFailure(ending) if ending else ModuleError("the search made no trial: see the log of its job")
    last = failed[-1]
    summary = ending or f"none of the {len(search_results.trials)} trials succeeded"
    return failures.all_failed(summary, last.error, TrialReport.read(folder, last.trial_id).details)

"""A search without code by Vertex AI's own tuning service: a HyperparameterTuningJob that the Tuner's task starts.

A target whose service searches describes the job in the variable PENSTOCK_TUNING_SERVICE (pipelines/targets/jobs.py).
The service chooses what is tried and runs each trial as a job of its own (vertex_trial.py); this task waits, and makes
of the trials the outputs that KerasTuner's are. It follows the job as penstock.components.jobs does: a task that is
tried again follows the job that its earlier attempt has started.
"""

import dataclasses
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.components.jobs import follow, launcher
from penstock.components.jobs.follow import Status
from penstock.components.jobs.vertex import HyperparameterTuningJobs
from penstock.components.tuner import executor
from penstock.components.tuner.vertex_trial import OF_ALL, TRIALS, Told
from penstock.core import progress
from penstock.core.artifacts import TaskResult
from penstock.core.errors import ConfigError, ModuleError, PenstockError, SystemFailure
from penstock.trainer.fn_args import FnArgs
from penstock.trainer.network.hyperparameters import Hyperparameters
from penstock.trainer.tuning import default, failures, results, space, vertex_study
from penstock.trainer.tuning.default import Objective
from penstock.trainer.tuning.results import Results, Trial
from penstock.trainer.tuning.settings import CUSTOM_CONFIG, Search
from penstock.trainer.tuning.trials import Scored

_FOLDERS = ("examples", "transform_graph", "schema", "statistics", "base_model", "raw_examples")
_PARAMETERS = ("train_args", "eval_args", "custom_config")
_INFEASIBLE = "INFEASIBLE"


class _Jobs(HyperparameterTuningJobs):
    """The service's jobs; one is ended as soon as a trial says that all of them fail alike."""

    def __init__(self, connection: Mapping[str, Any], job: Mapping[str, Any], folder: Path) -> None:
        super().__init__(connection, job)
        self._told = folder / OF_ALL

    def status(self, job: str) -> Status:
        if self._told.is_file():
            self.cancel(job)
            raise failures.read(self._told)
        return super().status(job)


def run(described: Mapping[str, Any], name: str, arguments: Mapping[str, Any]) -> TaskResult:
    """Searches as executor.run does, with its arguments, by the job `name`, which is made of what is `described`.

    Raises what executor.run does; a ConfigError for what the service cannot search and for a place that trials would
    not see, a ServerError or ServerUnavailable if the job cannot be started or followed.
    """
    launcher.require_buckets(arguments, (*_FOLDERS, "tuner_results"))
    given = {key: arguments.get(key) for key in _FOLDERS} | {key: arguments.get(key, "") for key in _PARAMETERS}
    with progress.task("Tuner") as counts:
        fn_args = executor.read_inputs(**given)  # type: ignore[arg-type]
        if CUSTOM_CONFIG not in (fn_args.custom_config or {}):
            raise ConfigError(
                "vertex.tuning_service: expected tuning.parameters, for only a search without code is its"
            )
        found = _search(described, name, given, fn_args, Path(arguments["tuner_results"]) / TRIALS)
        best = space.hyperparameters(default.searched(fn_args).parameters, Hyperparameters.kinds())
        best.values = dict(found.best[0].values)
        places = {key: arguments[key] for key in ("best_hyperparameters", "tuner_results", "report")}
        result = executor.write(found, best.get_config(), **places)
        counts.show(trials=len(found.trials))
    return result


def _search(
    described: Mapping[str, Any], name: str, given: Mapping[str, Any], fn_args: FnArgs, folder: Path
) -> Results:
    """Starts the job, or follows it, and returns its trials; `folder` is where they say how it went."""
    search, objective = default.searched(fn_args), default.objective(fn_args)
    kinds = Hyperparameters.kinds()
    job = vertex_study.completed(described["job"], search, kinds, objective.name, objective.direction)
    jobs = _Jobs(described["connection"], job, folder)

    def prepare() -> str:
        shutil.rmtree(folder, ignore_errors=True)
        return json.dumps({**given, TRIALS: str(folder)}, sort_keys=True)

    one, status = follow.end_of(jobs, name, prepare)
    trials = _trials(jobs.trials(one), folder, search, objective)
    for checkpoints in folder.glob("*/"):  # of trials that were stopped, or failed
        shutil.rmtree(checkpoints, ignore_errors=True)
    parameters = results.parameters(space.hyperparameters(search.parameters, kinds))
    found = Results(objective.name, objective.direction, trials, parameters)
    if not status.succeeded or not found.best:
        raise _failure(found, folder, "" if status.succeeded else f"{one} ended as {status.state}: {status.error}")
    return found


def _trials(given: Sequence[Any], folder: Path, search: Search, objective: Objective) -> list[Trial]:
    """Reads what the service knows of the trials, and what these say of themselves."""
    ordered = sorted(given, key=lambda trial: int(trial.id))
    trials = [_trial(trial, number, folder, search, objective) for number, trial in enumerate(ordered, 1)]
    whole = [trial.score for trial in trials if trial.score is not None and not trial.stopped]
    return [
        dataclasses.replace(trial, score=results.no_better(trial.score, whole, objective.direction))
        if trial.score is not None and trial.stopped and search.cross_validation
        else trial
        for trial in trials
    ]


def _trial(trial: Any, number: int, folder: Path, search: Search, objective: Objective) -> Trial:
    kinds, told = Hyperparameters.kinds(), Told.read(folder, trial.id)
    tried = {parameter.parameter_id: parameter.value for parameter in trial.parameters}
    values = {name: kinds[name](tried[name]) for name in search.parameters if name in tried}
    measured = {metric.metric_id: metric.value for metric in trial.final_measurement.metrics}
    score = Scored(told.scores).score if told.ended else measured.get(objective.name, math.nan)
    if told.error or not math.isfinite(score) or (trial.state.name == _INFEASIBLE and not told.ended):
        error = told.error or trial.infeasible_reason or f"it told no {objective.name}: see the log of its job"
        return Trial(trial.id, number, None, values, error=" ".join(error.split()))
    folds = told.scores if search.cross_validation else ()
    return Trial(trial.id, number, score, values, Scored(folds).deviation, folds, stopped=not told.ended)


def _failure(found: Results, folder: Path, ended: str) -> PenstockError:
    """Returns why a search has no result: `ended` says how its job ended, if that is why."""
    failed = [trial for trial in found.trials if trial.score is None]
    if not failed:
        return SystemFailure(ended) if ended else ModuleError("the search made no trial: see the log of its job")
    last = failed[-1]
    what = ended or f"none of the {len(found.trials)} trials succeeded"
    return failures.all_failed(what, last.error, Told.read(folder, last.trial_id).details)

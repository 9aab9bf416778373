"""Vertex AI's tuning service on loopback: what it refuses, and trials that are run, as processes of this machine.

Rules and words are those of aiplatform_v1's own descriptions (types/study.py). Suggestions are drawn at random from the
ParameterSpecs, or, in a grid, one after the other; trials that do worse than the median rule allows are ended.
"""

import itertools
import json
import math
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.cloud import aiplatform_v1
from google.protobuf import json_format

from tests.servers.loopback import Refusal

_SPEC = aiplatform_v1.StudySpec
_KINDS = ("double_value_spec", "integer_value_spec", "discrete_value_spec", "categorical_value_spec")


def check(job: Any) -> None:
    """Raises a Refusal for a HyperparameterTuningJob that is none."""
    study = job.study_spec
    _require(job.display_name and len(job.display_name) <= 128, "display_name is required")
    _require(job.max_trial_count > 0 and job.parallel_trial_count > 0, "trial counts must be positive")
    _require(len(job.trial_job_spec.worker_pool_specs) > 0, "trial_job_spec needs a worker pool")
    _require(len(study.metrics) == 1 and study.metrics[0].metric_id, "expected a metric")
    names = [parameter.parameter_id for parameter in study.parameters]
    _require(names and len(set(names)) == len(names), "expected parameters, each once")
    for name in (*names, study.metrics[0].metric_id):
        _require(not any(letter.isspace() for letter in name), f"whitespace in {name}")
    for parameter in study.parameters:
        kind = _kind(parameter)
        _require(kind, f"{parameter.parameter_id} has no value spec")
        values = getattr(parameter, kind)
        if kind == "discrete_value_spec":
            _require(0 < len(values.values) <= 1000, "expected 1 to 1,000 values")
            _require(all(b - a >= 1e-10 for a, b in itertools.pairwise(values.values)), "values must increase")
        if kind in ("double_value_spec", "integer_value_spec"):
            _require(values.min_value <= values.max_value, "min_value is above max_value")
        if parameter.scale_type == _SPEC.ParameterSpec.ScaleType.UNIT_LOG_SCALE:
            least = values.values[0] if kind == "discrete_value_spec" else values.min_value
            _require(least > 0, "the feasible space must be strictly positive")
        if study.algorithm == _SPEC.Algorithm.GRID_SEARCH:
            _require(kind != "double_value_spec", "grid search takes no DOUBLE")


def _kind(parameter: Any) -> str:
    return next((kind for kind in _KINDS if kind in parameter), "")


def _require(holds: Any, message: str) -> None:
    if not holds:
        raise Refusal(400, f"Invalid study: {message}")


def suggestions(study: Any) -> Iterator[dict[str, float]]:
    """Yields the values of one trial after the other; a grid comes to its end."""
    if study.algorithm == _SPEC.Algorithm.GRID_SEARCH:
        points = [_points(parameter) for parameter in study.parameters]
        names = [parameter.parameter_id for parameter in study.parameters]
        yield from (dict(zip(names, point, strict=True)) for point in itertools.product(*points))
        return
    dice = random.Random(1)
    while True:
        yield {parameter.parameter_id: _drawn(parameter, dice) for parameter in study.parameters}


def _points(parameter: Any) -> list[float]:
    if _kind(parameter) == "discrete_value_spec":
        return list(parameter.discrete_value_spec.values)
    ends = parameter.integer_value_spec
    return list(range(ends.min_value, ends.max_value + 1))


def _drawn(parameter: Any, dice: random.Random) -> float:
    kind = _kind(parameter)
    if kind == "discrete_value_spec":
        return dice.choice(_points(parameter))
    ends = getattr(parameter, kind)
    if parameter.scale_type == _SPEC.ParameterSpec.ScaleType.UNIT_LOG_SCALE:
        drawn = math.exp(dice.uniform(math.log(ends.min_value), math.log(ends.max_value)))
    else:
        drawn = dice.uniform(ends.min_value, ends.max_value)
    return round(drawn) if kind == "integer_value_spec" else drawn


class Trials:
    """The trials of a job: started, looked at, and ended, each time the job is asked for."""

    def __init__(self, job: Any, folder: Path) -> None:
        self.job, self._folder = job, folder
        self._suggestions = suggestions(job.study_spec)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def look(self) -> None:
        """Reads what the running trials have told, ends bad ones, and starts others; the job may end with that."""
        for trial in self.job.trials:
            if trial.id in self._processes:
                self._read(trial)
                if self._is_bad(trial):
                    trial.state = aiplatform_v1.Trial.State.STOPPING
                    self._processes[trial.id].terminate()
                    self._processes[trial.id].wait()
                code = self._processes[trial.id].poll()
                if code is not None:
                    del self._processes[trial.id]
                    self._end(trial, code)
        failed = sum(trial.state.name == "INFEASIBLE" for trial in self.job.trials)
        if self.job.max_failed_trial_count and failed >= self.job.max_failed_trial_count:
            self.end()
            self._set({"state": "JOB_STATE_FAILED", "error": {"code": 3, "message": "Too many failed trials."}})
            return
        while len(self._processes) < self.job.parallel_trial_count and self._start():
            pass
        self._set({"state": "JOB_STATE_RUNNING" if self._processes else "JOB_STATE_SUCCEEDED"})

    def end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._processes = {}

    def _start(self) -> bool:
        if len(self.job.trials) == self.job.max_trial_count:
            return False
        values = next(self._suggestions, None)
        if values is None:
            return False
        one = str(len(self.job.trials) + 1)
        parameters = [{"parameterId": name, "value": value} for name, value in values.items()]
        container = self.job.trial_job_spec.worker_pool_specs[0].container_spec
        arguments = [f"--{name}={value}" for name, value in values.items()]
        environment = {"CLOUD_ML_TRIAL_ID": one, "CLOUD_ML_HP_METRIC_FILE": str(self._metrics(one))}
        command = [sys.executable, *container.command[1:], *container.args, *arguments]
        self._processes[one] = subprocess.Popen(command, env={**os.environ, **environment})
        made = aiplatform_v1.Trial()
        json_format.ParseDict({"id": one, "state": "ACTIVE", "parameters": parameters}, aiplatform_v1.Trial.pb(made))
        self.job.trials.append(made)
        return True

    def _metrics(self, one: str) -> Path:
        return self._folder / one / "output.metrics"

    def _read(self, trial: Any) -> None:
        path, metric = self._metrics(trial.id), self.job.study_spec.metrics[0].metric_id
        text = path.read_text() if path.exists() else ""
        lines = [json.loads(line) for line in text.splitlines()]
        assert all(line["trial"] == trial.id for line in lines)
        trial.measurements = [
            {"step_count": int(line["global_step"]), "metrics": [{"metric_id": metric, "value": float(line[metric])}]}
            for line in lines
        ]

    def _is_bad(self, trial: Any) -> bool:
        study = self.job.study_spec
        if "median_automated_stopping_spec" not in study or not trial.measurements:
            return False
        last = trial.measurements[-1].step_count
        others = [
            statistics.fmean(values)
            for other in self.job.trials
            if other.state.name == "SUCCEEDED" and (values := _values(other, last))
        ]
        if not others:
            return False
        median, own = statistics.median(others), _values(trial, last)
        minimizes = study.metrics[0].goal == _SPEC.MetricSpec.GoalType.MINIMIZE
        return min(own) > median if minimizes else max(own) < median

    def _end(self, trial: Any, code: int) -> None:
        self._read(trial)
        stopped = trial.state.name == "STOPPING"
        if (code and not stopped) or not trial.measurements:
            trial.state = aiplatform_v1.Trial.State.INFEASIBLE
            trial.infeasible_reason = f"The trial's job ended with exit code {code}."
            return
        study = self.job.study_spec
        minimizes = study.metrics[0].goal == _SPEC.MetricSpec.GoalType.MINIMIZE
        chosen = trial.measurements[-1]
        if study.measurement_selection_type == _SPEC.MeasurementSelectionType.BEST_MEASUREMENT:
            best = min if minimizes else max
            chosen = best(trial.measurements, key=lambda measurement: measurement.metrics[0].value)
        trial.final_measurement = chosen
        trial.state = aiplatform_v1.Trial.State.SUCCEEDED

    def _set(self, change: dict[str, Any]) -> None:
        json_format.ParseDict(change, aiplatform_v1.HyperparameterTuningJob.pb(self.job))


def _values(trial: Any, last: int) -> list[float]:
    return [one.metrics[0].value for one in trial.measurements if one.step_count <= last]

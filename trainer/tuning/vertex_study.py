"""Describes a search without code to Vertex AI's tuning service, as a StudySpec (aiplatform_v1) in JSON.

    search                                   study
    a range of floats                        DOUBLE
    a range of ints                          INTEGER
    a range with a step, or values           DISCRETE: the values that KerasTuner would try
    early_stopping                           the median rule, as in oracles.py
    minutes                                  no trial starts afterwards, but at least one runs

A study has no seed: the service chooses the trials.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.core.errors import ConfigError
from penstock.trainer.tuning.settings import Range, Search

_ALGORITHMS = {"bayesian": "ALGORITHM_UNSPECIFIED", "random": "RANDOM_SEARCH", "grid": "GRID_SEARCH"}
_GOALS = {"min": "MINIMIZE", "max": "MAXIMIZE"}
_SCALES = {"linear": "UNIT_LINEAR_SCALE", "log": "UNIT_LOG_SCALE"}
_MOST_VALUES = 1000  # of a DISCRETE parameter
_LEAST_DIFFERENCE = 1e-10  # between two values of a DISCRETE parameter
_LEAST_FAILED = 10  # trials before the job gives up: many points of a range may fail

type Json = dict[str, Any]  # a message of aiplatform_v1 as JSON


def completed(
    job: Mapping[str, Any], search: Search, kinds: Mapping[str, type], objective: str, direction: str
) -> Json:
    """Returns a HyperparameterTuningJob with its study and its numbers of trials.

    job: the other fields of the HyperparameterTuningJob. For the other arguments, see `study`.

    The job gives up after as many failed trials as a search with KerasTuner (oracles.py); there they are consecutive,
    here they need not be.
    """
    failed = max(_LEAST_FAILED, search.trials // 2)
    return {
        **job,
        "studySpec": study(search, kinds, objective, direction),
        "maxTrialCount": search.trials,
        "parallelTrialCount": min(job["parallelTrialCount"], search.trials),
        "maxFailedTrialCount": min(search.trials, failed),
    }


def study(search: Search, kinds: Mapping[str, type], objective: str, direction: str) -> Json:
    """Returns the StudySpec.

    kinds: the types of the model's hyperparameters, by name: int or float.
    objective, direction: the metric that trials report, and whether "min" or "max" of it is sought.

    Raises a ConfigError, by the key, for what the service cannot search.
    """
    check(search, kinds)
    # Without cross-validation a trial is measured by its best epoch, with it by its last value, the mean of all folds.
    measurement = "BEST_MEASUREMENT" if search.cross_validation is None else "LAST_MEASUREMENT"
    spec: Json = {
        "metrics": [{"metricId": objective, "goal": _GOALS[direction]}],
        "parameters": [_parameter(name, entry, kinds[name]) for name, entry in search.parameters.items()],
        "algorithm": _ALGORITHMS[search.algorithm],
        "measurementSelectionType": measurement,
    }
    if search.early_stopping:
        spec["medianAutomatedStoppingSpec"] = {"useElapsedDuration": False}
    if search.minutes is not None:
        spec["studyStoppingConfig"] = {
            "maximumRuntimeConstraint": {"maxDuration": f"{max(1, round(60 * search.minutes))}s"},
            "minNumTrials": 1,
        }
    return spec


def check(search: Search, kinds: Mapping[str, type]) -> None:
    """Raises a ConfigError, by the key, for what the service cannot search: an algorithm, or a range of values."""
    if search.algorithm not in _ALGORITHMS:
        raise ConfigError(
            f"tuning.algorithm: Vertex AI's tuning service has no {search.algorithm}: expected one of "
            f"{', '.join(_ALGORITHMS)}, or vertex.tuning_service: false"
        )
    for name, entry in search.parameters.items():
        key = f"tuning.parameters.{name}"
        values = _values(entry, kinds[name]) or []
        if len(values) > _MOST_VALUES:
            raise ConfigError(
                f"{key}: expected {_MOST_VALUES:,} values at most, which is what Vertex AI's tuning service takes: "
                "choose a larger step, or none"
            )
        if any(after - before < _LEAST_DIFFERENCE for before, after in itertools.pairwise(values)):
            raise ConfigError(
                f"{key}: expected values at least {_LEAST_DIFFERENCE:g} apart, since Vertex AI's tuning service takes "
                "closer ones for equal"
            )


def _parameter(name: str, entry: Range, kind: type) -> Json:
    """Returns a ParameterSpec."""
    values = _values(entry, kind)
    if values is not None:
        # People mostly list values that differ by factors; for others a logarithmic scale does no harm.
        scale = "log" if entry.values and values[0] > 0 else entry.scale
        return {"parameterId": name, "scaleType": _SCALES[scale], "discreteValueSpec": {"values": values}}
    assert entry.min is not None
    assert entry.max is not None
    if kind is int:
        ends: Json = {"minValue": str(int(entry.min)), "maxValue": str(int(entry.max))}  # an int64 in protobuf's JSON
        return {"parameterId": name, "scaleType": _SCALES[entry.scale], "integerValueSpec": ends}
    ends = {"minValue": entry.min, "maxValue": entry.max}
    return {"parameterId": name, "scaleType": _SCALES[entry.scale], "doubleValueSpec": ends}


def _values(entry: Range, kind: type) -> list[float] | None:
    """Returns the values of a DISCRETE parameter, sorted; None for a continuous range or one of all ints.

    If there are more values than the service takes, it returns one more than that number.
    """
    if entry.values:
        return sorted({float(value) for value in entry.values})
    if entry.step is None or (kind is int and entry.scale == "linear" and entry.step == 1):
        return None
    return [float(kind(value)) for value in itertools.islice(_steps(entry), _MOST_VALUES + 1)]


def _steps(entry: Range) -> Iterator[float]:
    """Yields the values of a range with a step, counted as KerasTuner does."""
    assert entry.min is not None
    assert entry.max is not None
    assert entry.step is not None
    if entry.scale == "linear":
        for index in range(int((entry.max - entry.min) / entry.step + 1e-8) + 1):
            yield entry.min + index * entry.step
    else:
        for index in range(int(math.log(entry.max / entry.min, entry.step) + 1e-8) + 1):
            yield entry.min * math.pow(entry.step, index)

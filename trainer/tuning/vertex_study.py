"""A search without code as Vertex AI's own tuning service is told of it: a StudySpec (aiplatform_v1), as JSON.

    search                                   study
    a range of numbers                       DOUBLE
    a range of whole numbers                 INTEGER
    a range with a step, or values           DISCRETE: the values that KerasTuner would try
    early_stopping                           the median rule, which is that of oracles.py
    minutes                                  no trial is begun afterwards, and one is at least

It knows no seed: which trials come is the service's to choose.
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
_CLOSEST = 1e-10  # two of its values
_FEWEST_FAILED = 10  # trials, of which a range may hold many that fail


def completed(
    job: Mapping[str, Any], search: Search, kinds: Mapping[str, type], objective: str, direction: str
) -> dict[str, Any]:
    """Returns a HyperparameterTuningJob (aiplatform_v1, as JSON) with what it searches, and for how many trials.

    It gives up with as many failed trials as a search of KerasTuner's does (oracles.py), though not in a row.
    """
    failed = max(_FEWEST_FAILED, search.trials // 2)
    return {
        **job,
        "studySpec": study(search, kinds, objective, direction),
        "maxTrialCount": search.trials,
        "parallelTrialCount": min(job["parallelTrialCount"], search.trials),
        "maxFailedTrialCount": min(search.trials, failed),
    }


def study(search: Search, kinds: Mapping[str, type], objective: str, direction: str) -> dict[str, Any]:
    """Returns the StudySpec. `kinds` are the types of the model's hyperparameters, by name: int or float.

    Raises a ConfigError, which names the key, for what the service cannot search.
    """
    check(search, kinds)
    whole = search.cross_validation is None  # then a trial is as good as its best epoch, else as the mean of all folds
    spec: dict[str, Any] = {
        "metrics": [{"metricId": objective, "goal": _GOALS[direction]}],
        "parameters": [_parameter(name, entry, kinds[name]) for name, entry in search.parameters.items()],
        "algorithm": _ALGORITHMS[search.algorithm],
        "measurementSelectionType": "BEST_MEASUREMENT" if whole else "LAST_MEASUREMENT",
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
    """Raises a ConfigError, which names the key, for what the service cannot search."""
    if search.algorithm not in _ALGORITHMS:
        raise ConfigError(
            f"tuning.algorithm: Vertex AI's tuning service has no {search.algorithm}: expected one of "
            f"{', '.join(_ALGORITHMS)}, or vertex.tuning_service: false"
        )
    for name, entry in search.parameters.items():
        key = f"tuning.parameters.{name}"
        found = _values(entry, kinds[name]) or []
        if len(found) > _MOST_VALUES:
            raise ConfigError(
                f"{key}: expected {_MOST_VALUES:,} values at most, which is what Vertex AI's tuning service takes: "
                "choose a larger step, or none"
            )
        if any(after - before < _CLOSEST for before, after in itertools.pairwise(found)):
            raise ConfigError(
                f"{key}: expected values {_CLOSEST:g} apart at least, which Vertex AI's tuning service tells from each "
                "other"
            )


def _parameter(name: str, entry: Range, kind: type) -> dict[str, Any]:
    found = _values(entry, kind)
    if found is not None:
        # Values that a person lists are mostly factors apart, and on that scale no worse where they are not.
        scale = "log" if entry.values and found[0] > 0 else entry.scale
        return {"parameterId": name, "scaleType": _SCALES[scale], "discreteValueSpec": {"values": found}}
    ends: dict[str, Any] = {"minValue": entry.min, "maxValue": entry.max}
    if kind is int:
        ends = {end: str(int(value)) for end, value in ends.items()}  # as JSON has an int64
        return {"parameterId": name, "scaleType": _SCALES[entry.scale], "integerValueSpec": ends}
    return {"parameterId": name, "scaleType": _SCALES[entry.scale], "doubleValueSpec": ends}


def _values(entry: Range, kind: type) -> list[float] | None:
    """Returns the values of a parameter that has some, in their order; None for any value of a range.

    Of more than the service takes it returns one more than that.
    """
    if entry.values:
        return sorted({float(value) for value in entry.values})
    if entry.step is None or (kind is int and entry.scale == "linear" and entry.step == 1):
        return None
    return [float(kind(value)) for value in itertools.islice(_steps(entry), _MOST_VALUES + 1)]


def _steps(entry: Range) -> Iterator[float]:
    """As KerasTuner counts them."""
    assert entry.min is not None
    assert entry.max is not None
    assert entry.step is not None
    if entry.scale == "linear":
        for index in range(int((entry.max - entry.min) / entry.step + 1e-8) + 1):
            yield entry.min + index * entry.step
    else:
        for index in range(int(math.log(entry.max / entry.min, entry.step) + 1e-8) + 1):
            yield entry.min * math.pow(entry.step, index)

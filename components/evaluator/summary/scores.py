"""The metrics of an EvalConfig over the parts of a sample, for one model alone.

Only metrics that are array operations are computed: a sample is looked at beside an evaluation, which is not to take
much longer for it.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import TensorValueMaybeMultiLevelDict
from tensorflow_model_analysis.metrics.metric_types import MetricKey, MetricsDict, PlotKey
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator import results, verdict
from penstock.components.evaluator.eval_config import candidate
from penstock.components.evaluator.metrics import comparison, coverage, shards
from penstock.components.evaluator.metrics.accumulators import Result, spreads_of
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.metrics.evidence import BinaryCounts, Evidence
from penstock.components.evaluator.slices import Memberships
from penstock.components.evaluator.summary.intervals import Intervals
from penstock.components.evaluator.tfma import undefined as undefined_metrics
from penstock.core.artifacts.evaluation_summary import Measure, Problem

type Values = TensorValueMaybeMultiLevelDict | None


@dataclass(frozen=True)
class Compared:
    """Labels and weights of examples, as a batch of one model has them."""

    labels: Values
    weights: Values

    def taken(self, rows: np.ndarray) -> "Compared":
        """Returns those of these examples; None in place of what is no array of numbers."""
        return Compared(comparison.taken(self.labels, rows), comparison.taken(self.weights, rows))


def of_model(config: EvalConfig, metric: str = "") -> EvalConfig:
    """Returns the config for the candidate alone, without slices and thresholds, with covered metrics only.

    With a `metric`, by its qualified name, only what computes it is left, with weights and without.
    """
    single = EvalConfig()
    single.model_specs.add().CopyFrom(candidate(config))
    single.model_specs[0].name = ""
    for specs in config.metrics_specs:
        copied = single.metrics_specs.add()
        copied.CopyFrom(specs)
        del copied.model_names[:], copied.metrics[:]
        copied.ClearField("thresholds")
        copied.ClearField("per_slice_thresholds")
        copied.ClearField("cross_slice_thresholds")
        for each in specs.metrics:
            copied.metrics.add(class_name=each.class_name, module=each.module, config=each.config)
            if not _is_wanted(single, metric):
                del copied.metrics[-1]
        if not copied.metrics:
            del single.metrics_specs[-1]
    return single


def _is_wanted(config: EvalConfig, metric: str) -> bool:
    """Whether the metric that was added last is covered, and the one that is asked for."""
    last = EvalConfig(model_specs=config.model_specs, metrics_specs=[config.metrics_specs[-1]])
    del last.metrics_specs[0].metrics[:-1]
    parts = results.computations(last)
    computed = [*parts.non_derived_computations, *parts.derived_computations]
    names = {verdict.qualified(key) for computation in computed for key in computation.keys}
    is_asked_for = not metric or metric.removesuffix(verdict.WEIGHTED) in names
    return is_asked_for and all(map(coverage.result, parts.non_derived_computations))


@dataclass
class Accumulated:
    """What metrics of parts of the examples are computed from."""

    results: list[Result]
    classes: BinaryCounts | None

    def add(self, batch: Batch) -> None:
        """Adds examples; a ModelError for a metric that does not fit."""
        for result in self.results:
            with shards.fitting():
                result.add(batch)
        if self.classes:
            self.classes.add(batch)

    def merge(self, other: Self, codes: np.ndarray) -> None:
        """Adds what others accumulate; `codes` holds, by each code of theirs, the code here."""
        for result, later in zip(self.results, other.results, strict=True):
            result.merge(later, codes)
        if self.classes and other.classes:
            self.classes.merge(other.classes, codes)


class Scores:
    """Computes the metrics of a config that `of_model` has made."""

    def __init__(self, config: EvalConfig, problem: Problem):
        self._config, self._parts, self._problem = config, results.computations(config), problem
        self._intervals = Intervals(config)

    def of(self, compared: Compared, predictions: Values, codes: np.ndarray, count: int) -> list[dict[str, Measure]]:
        """Returns the metrics of each of `count` parts by their qualified names; `codes` says which each example is in.

        One that is not defined has no value. Raises a ModelError for a metric that does not fit.
        """
        extracts = {constants.LABELS_KEY: compared.labels, constants.PREDICTIONS_KEY: predictions}
        if compared.weights is not None:
            extracts[constants.EXAMPLE_WEIGHTS_KEY] = compared.weights
        rows = np.arange(len(codes))
        batch = Batch(self._config, extracts, rows, Memberships(np.arange(len(codes) + 1), codes))
        accumulated = self.accumulated()
        accumulated.add(batch)
        return [self.measures(accumulated, code) for code in range(count)]

    def accumulated(self) -> Accumulated:
        """Returns what no example accumulates."""
        results_ = list(filter(None, map(coverage.result, self._parts.non_derived_computations)))
        weighted = bool(candidate(self._config).example_weight_key)
        return Accumulated(results_, BinaryCounts("", weighted=weighted) if self._problem == "binary" else None)

    def measures(self, accumulated: Accumulated, code: int) -> dict[str, Measure]:
        """Returns the metrics of a part by their qualified names."""
        base: MetricsDict = {key: value for result in accumulated.results for key, value in result.result(code).items()}
        values = results.derived(base, self._parts)
        undefined = undefined_metrics.of_slice(self._config, values)
        told = {key: float(value) for key, value in values.items() if _is_told(key) and _is_number(value)}
        names = verdict.names(told)
        classes = accumulated.classes
        evidence = Evidence(spreads_of(accumulated.results, code), classes.of(code) if classes else None)
        return {
            names[key]: self._intervals.measure(key, value, evidence)
            if math.isfinite(value) and not undefined.why(key, ((),))
            else Measure(value=None)
            for key, value in told.items()
        }


def _is_told(key: MetricKey) -> bool:
    return not isinstance(key, PlotKey) and not key.name.startswith("_")


def _is_number(value: object) -> bool:
    return isinstance(value, float | int | np.number | np.ndarray) and np.ndim(value) == 0

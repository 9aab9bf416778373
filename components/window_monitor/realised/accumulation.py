"""What of labelled rows adds up to metrics, shard by shard, and their intervals.

Intervals are those of the Evaluator's formulas. For metrics that have none, each row is in one of a few groups, at
random: a metric is computed of all groups, and of all but one for each, and from how much these differ comes the
interval (the delete-a-group jackknife, Kott 2001). So rows are added once, not once for each resample.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import scipy.stats  # type: ignore[import-untyped]
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.slicer import slicer_lib

from penstock.components.evaluator import verdict
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.metrics.sums import Sums
from penstock.components.evaluator.slices import Codes, Memberships, SliceKey, Slicer
from penstock.components.evaluator.summary.limits import COUNT
from penstock.components.evaluator.summary.measures import Features
from penstock.components.evaluator.summary.scores import Accumulated, Scores
from penstock.components.monitoring.labels.table import LabelTable
from penstock.components.monitoring.windows.account import Account, Reasons
from penstock.components.window_monitor.realised.extracts import of_labelled
from penstock.components.window_monitor.realised.question import Question
from penstock.components.window_monitor.realised.rows import Chunk
from penstock.core.artifacts.evaluation_summary import Measure
from penstock.core.errors import ModelError

_NO_FIT = "a labelled row whose answer is none that the evaluation's metrics are of"
_GROUPS = 20  # as TFMA has buckets in its jackknife
_FEWEST = 40  # rows of an interval
_MOST_SLICES, _MOST_RESAMPLED = 200, 50
_STUDENT = float(scipy.stats.t.ppf(0.975, _GROUPS - 1))  # standard errors of a 95 % interval


@dataclass(frozen=True)
class SliceMeasures:
    """A slice, how many labelled rows it has, and its metrics by their qualified names."""

    features: Features
    rows: int
    metrics: dict[str, Measure]


@dataclass
class Labelled:
    """What was accumulated of a window's rows.

    Args:
        scored: By slice and group, what metrics are computed from.
        rows: How many rows there are.
        joined: How many of them have a label.
        labelled: How many have one that counts.
        matched: The places of the labels, in any order.
        left_out: Labels and rows that do not count.
    """

    scored: Accumulated
    codes: Codes = field(default_factory=Codes)
    sizes: Sums = field(default_factory=lambda: Sums(1))
    rows: int = 0
    joined: int = 0
    labelled: int = 0
    matched: list[npt.NDArray[np.int64]] = field(default_factory=list)
    left_out: Reasons = field(default_factory=Reasons)
    account: Account = field(default_factory=Account)

    def merge(self, other: Self) -> Self:
        """Adds what was accumulated of later rows, and returns this."""
        slices = np.array([self.codes.of(key) for key in other.codes], np.int64)
        self.sizes.merge(other.sizes, slices)
        self.scored.merge(other.scored, _grouped(slices))
        self.rows += other.rows
        self.joined += other.joined
        self.labelled += other.labelled
        self.matched += other.matched
        self.left_out.merge(other.left_out)
        self.account.merge(other.account)
        return self


def _grouped(slices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns the codes of slices in each of their groups."""
    return np.asarray((slices[:, None] * _GROUPS + np.arange(_GROUPS)).ravel())


@dataclass(frozen=True)
class Accumulator:
    """Adds rows, and computes the metrics of what was added."""

    question: Question

    @cached_property
    def _config(self) -> EvalConfig:
        return EvalConfig.FromString(self.question.metrics)

    @cached_property
    def _scores(self) -> Scores:
        return Scores(self._config, self.question.judged["problem"])

    def empty(self) -> Labelled:
        """Returns what no row accumulates."""
        return Labelled(self._scores.accumulated())

    def add(self, total: Labelled, chunk: Chunk, labels: LabelTable, generator: np.random.Generator) -> None:
        """Adds rows. Those whose predictions a metric does not fit are left out: another version may have answered."""
        part = self.empty()
        try:
            self._add(part, chunk, labels, generator)
        except ModelError as error:
            added, part = part, self.empty()  # some metrics have the rows already
            part.rows, part.joined, part.matched = added.rows, added.joined, added.matched
            part.left_out.merge(added.left_out)
            part.left_out.add("rows", _NO_FIT, f"{chunk.name}: {error.message}", added.labelled)
        total.merge(part)

    def _add(self, total: Labelled, chunk: Chunk, labels: LabelTable, generator: np.random.Generator) -> None:
        total.rows += len(chunk.places)
        joined = chunk.places[chunk.places >= 0]
        total.joined += len(joined)
        total.matched.append(np.unique(joined))
        count, extracts = of_labelled(chunk, labels, self.question, total.left_out)
        if not count:
            return
        total.labelled += count
        every = np.arange(count)
        members = self._slicer(total.codes).memberships(extracts, every)
        positions, codes = members.expand(every)
        total.sizes.add(codes, np.ones((len(codes), 1)))
        groups = generator.integers(_GROUPS, size=count)
        grouped = Memberships(members.starts, codes * _GROUPS + groups[positions])
        total.scored.add(Batch(self._config, extracts, every, grouped))

    def _slicer(self, codes: Codes) -> Slicer:
        return Slicer(EvalConfig.FromString(self.question.slicing), codes)

    def measures(self, total: Labelled, has_limit: Callable[[Features], bool]) -> list[SliceMeasures]:
        """Returns the metrics of the slices that have a limit and of the largest others, the overall one first.

        Metrics that have no interval by a formula have one by resampling in the first of these slices.
        """
        features = {key: tuple(verdict.features(slicer_lib.serialize_slice_key(key))) for key in total.codes}
        limited = {key: has_limit(features[key]) for key in total.codes}
        ordered = sorted(total.codes, key=lambda key: (key != (), not limited[key], -self._size(total, key), repr(key)))
        whole = self._regrouped(total, None)
        measured = {key: self._scores.measures(whole, total.codes.of(key)) for key in ordered[:_MOST_SLICES]}
        large = [key for key in list(measured)[:_MOST_RESAMPLED] if self._size(total, key) >= _FEWEST]
        resampled = self._resampled(total, [key for key in large if not _have_intervals(measured[key])])
        return [
            SliceMeasures(features[key], self._size(total, key), _bounded(measures, resampled.get(key, [])))
            for key, measures in measured.items()
        ]

    def _resampled(self, total: Labelled, slices: Sequence[SliceKey]) -> dict[SliceKey, list[dict[str, Measure]]]:
        """Returns the metrics of slices without each of the groups."""
        result: dict[SliceKey, list[dict[str, Measure]]] = {key: [] for key in slices}
        for group in range(_GROUPS) if slices else ():
            rest = self._regrouped(total, group)
            for key, others in result.items():
                others.append(self._scores.measures(rest, total.codes.of(key)))
        return result

    @staticmethod
    def _size(total: Labelled, key: SliceKey) -> int:
        return int(total.sizes.of(total.codes.of(key))[0])

    def _regrouped(self, total: Labelled, without: int | None) -> Accumulated:
        """Returns what is accumulated of slices, of all groups or of all but one."""
        count = len(total.codes)
        groups = np.tile(np.arange(_GROUPS), count)
        codes = np.where(groups == without, count, np.repeat(np.arange(count), _GROUPS))
        result = self._scores.accumulated()
        result.merge(total.scored, codes)
        return result


def _have_intervals(measures: Mapping[str, Measure]) -> bool:
    """Whether all metrics that have a value have an interval; the number of rows needs none."""
    return all("low" in one or one["value"] is None for name, one in measures.items() if name != COUNT)


def _bounded(measures: Mapping[str, Measure], others: Sequence[Mapping[str, Measure]]) -> dict[str, Measure]:
    """Returns metrics that have intervals, where they have none from those of all groups but one."""
    result = {}
    for name, measure in measures.items():
        values = [one[name]["value"] for one in others if name in one]
        known = [value for value in values if value is not None]
        value = measure["value"]
        if value is not None and "low" not in measure and len(known) == _GROUPS:
            width = _STUDENT * math.sqrt((_GROUPS - 1) * float(np.var(known)))
            measure = Measure(value=value, low=value - width, high=value + width)
        result[name] = measure
    return result

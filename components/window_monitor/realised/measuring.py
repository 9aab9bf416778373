"""A window's realised metrics: its rows joined with their labels, piece by piece over an engine."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from penstock.components.engines import Engine
from penstock.components.evaluator.summary.limits import COUNT, slice_name
from penstock.components.monitoring.labels.table import LabelTable
from penstock.components.monitoring.windows.files import Piece
from penstock.components.monitoring.windows.requests import Requests
from penstock.components.window_monitor.judging import Limits
from penstock.components.window_monitor.realised import rows
from penstock.components.window_monitor.realised.accumulation import Accumulator, Labelled, SliceMeasures
from penstock.components.window_monitor.realised.question import Question
from penstock.core.artifacts.monitoring import Finding, RealisedMetric

_SEED = 1948


@dataclass(frozen=True)
class Realised:
    """What labels say of a window: what was accumulated of its rows, the metrics, and those that have a limit."""

    total: Labelled
    metrics: list[RealisedMetric]
    findings: list[Finding]


def measure(engine: Engine, requests: Requests, labels: LabelTable, question: Question, limits: Limits) -> Realised:
    """Returns the metrics of the rows with a label."""
    accumulator = Accumulator(question)
    accumulate = partial(_accumulated, requests=requests, labels=labels, question=question)
    numbered = list(enumerate(requests.pieces))
    total = engine.fold(accumulate, Labelled.merge, numbered) or accumulator.empty()
    slices = accumulator.measures(total, limits.has_any) if total.labelled else []
    pairs = [(part, metric) for part in slices for metric in _metrics(part, question)]
    findings = [limits.realised(metric, part.features) for part, metric in pairs]
    return Realised(total, [metric for _, metric in pairs], list(filter(None, findings)))


def _accumulated(numbered: tuple[int, Piece], requests: Requests, labels: LabelTable, question: Question) -> Labelled:
    number, piece = numbered
    accumulator = Accumulator(question)
    total, generator = accumulator.empty(), np.random.default_rng([_SEED, number])
    for chunk in rows.chunks(requests, piece, labels, list(question.features), total.account):
        accumulator.add(total, chunk, labels, generator)
    return total


def _metrics(part: SliceMeasures, question: Question) -> Iterator[RealisedMetric]:
    """Yields the metrics of a slice, each beside what it was in the evaluation."""
    name = slice_name(part.features)
    before = next((one["metrics"] for one in question.judged["slices"] if one["slice"] == name), {})
    for metric, measure in part.metrics.items():
        if metric != COUNT:
            yield RealisedMetric(
                metric=metric,
                slice=name,
                value=measure["value"],
                low=measure.get("low"),
                high=measure.get("high"),
                evaluation=before.get(metric),
                rows=part.rows,
            )

"""The findings of a window: each measure beside its threshold, ordered by how much it matters."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from penstock.components.monitoring import words
from penstock.components.monitoring.measures import comparison, dependence
from penstock.components.monitoring.measures.bins import FeatureBins
from penstock.components.monitoring.measures.comparison import Measured, Shift
from penstock.components.monitoring.measures.counts import WindowCounts
from penstock.components.monitoring.measures.dependence import DependenceShift
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import Measure, Sensitivity
from penstock.components.window_monitor import causes, rare_combinations
from penstock.core import progress
from penstock.core.artifacts.monitoring import ComparedWith, Finding, Subject
from penstock.core.page import numbers

OF_TRAINING: tuple[Measure, ...] = ("new_values", "out_of_range", "new_words")  # measures that windows do not have
_AND = ", "  # between the names of a pair


@dataclass(frozen=True)
class Compared:
    """A part of a window, features or predictions, and what it is compared with.

    `before` and `after` are rows of training and of the window, for the words. With another window only counts are
    compared.
    """

    subject: Subject
    reference: Reference
    sensitivity: Sensitivity
    counts: WindowCounts
    before: pa.Table
    after: pa.Table
    compared_with: ComparedWith = "training"


def of_window(parts: Sequence[Compared], importance: Mapping[str, float]) -> list[Finding]:
    """Returns the findings: those that alert first, then by importance times shift.

    A pair of features of which one has moved by itself comes after all that alert: it most likely follows from that.
    """
    found: list[Finding] = []
    for part in parts:
        for shift in comparison.compare(part.reference, part.counts, part.sensitivity):
            found += _of_shift(part, shift, importance)
        if part.subject == "feature" and part.compared_with == "training":
            moved = {one["name"] for one in found if one["alerts"]}
            pairs = dependence.compare(part.reference, part.counts, part.sensitivity)
            found += [_of_pair(part, pair, moved, importance) for pair in pairs]
    moved = {one["name"] for one in found if one["alerts"] and one["subject"] == "feature"}

    def order(one: Finding) -> tuple[bool, bool, float, str]:
        follows = one["subject"] == "dependence" and not moved.isdisjoint(one["name"].split(_AND))
        return not one["alerts"], follows, -urgency(one, bool(importance)), one["name"]

    return sorted(found, key=order)


def with_performance(others: Iterable[Finding], judged: Iterable[Finding]) -> list[Finding]:
    """Returns a window's findings with those of how good the model is, which come first of those that alert."""
    return sorted([*judged, *others], key=lambda one: not one["alerts"])


def urgency(finding: Finding, known: bool) -> float:
    """Returns importance times shift, in thresholds. Where importance is `known`, of a feature without one it is 0."""
    value, threshold = finding["value"], finding["threshold"]
    if value is None or threshold is None:
        return 0.0
    excess = value / threshold if threshold else float(value > 0)
    if known and finding["subject"] != "prediction":
        return excess * finding.get("importance", 0.0)
    return excess


def figure(subject: Subject, reference: Reference, name: str) -> str:
    """Returns the fragment of the address of a feature's or a prediction's figure."""
    return f"{subject}-{list(reference.bins).index(name) + 1}"


def _of_shift(part: Compared, shift: Shift, importance: Mapping[str, float]) -> list[Finding]:
    bins = part.reference.bins[shift.feature]
    is_drift = part.compared_with == "window"
    cause = causes.likely(bins, part.before, part.after) if shift.alerts and not is_drift else ""
    measures = [one for one in shift.measures if not (is_drift and one.measure in OF_TRAINING)]
    found = [_finding(part, bins, measured, cause) for measured in measures]
    if part.subject == "feature" and shift.feature in importance:
        for one in found:
            one["importance"] = importance[shift.feature]
    return found


def _finding(part: Compared, bins: FeatureBins, measured: Measured, cause: str) -> Finding:
    threshold = measured.threshold if math.isfinite(measured.threshold) else None
    finding = Finding(
        subject=part.subject,
        name=bins.name,
        measure=measured.measure,
        value=measured.value,
        threshold=threshold,
        alerts=measured.alerts,
        rows=measured.rows,
        sentence=_sentence(measured.measure, measured.value, threshold, measured.rows, part.compared_with),
        cause=cause if measured.alerts else "",
        figure=figure(part.subject, part.reference, bins.name),
    )
    if part.compared_with == "window":
        finding["compared_with"] = "window"
    return finding


def _of_pair(part: Compared, pair: DependenceShift, moved: Collection[str], importance: Mapping[str, float]) -> Finding:
    finding = Finding(
        subject="dependence",
        name=_AND.join(pair.features),
        measure=pair.measure,
        value=pair.value,
        threshold=pair.threshold,
        alerts=pair.alerts,
        rows=pair.rows,
        sentence=_sentence(pair.measure, pair.value, pair.threshold, pair.rows),
        cause=_cause_of_pair(part, pair, moved) if pair.alerts else "",
        figure=figure(part.subject, part.reference, pair.features[0]),
    )
    if known := [importance[name] for name in pair.features if name in importance]:
        finding["importance"] = max(known)
    return finding


def _cause_of_pair(part: Compared, pair: DependenceShift, moved: Collection[str]) -> str:
    first, second = pair.features
    is_rare = pair.measure == "rare_combinations"
    how = "as they hardly do in training" if is_rare else "otherwise than in training"
    alone = [name for name in pair.features if name in moved]
    why = f"most likely as {alone[0]!r} has moved" if alone else "although each alone is as it was"
    shown = rare_combinations.striking(part.reference, pair.features, part.before, part.after) if is_rare else ""
    return f"{first!r} and {second!r} go together {how}, {why}{f': {shown}' if shown else ''}."


def _sentence(
    measure: str, value: float, threshold: float | None, rows: int, compared_with: ComparedWith = "training"
) -> str:
    limit = "it never alerts" if threshold is None else f"it alerts above {numbers.number(threshold)}"
    what = words.MEASURES[measure]
    shown = f"{what[0].upper()}{what[1:]} {numbers.number(value)}"
    beside = " to the window before" if compared_with == "window" else ""
    return f"{shown}{beside}; {limit}, in windows of {progress.text({'rows': rows})}."

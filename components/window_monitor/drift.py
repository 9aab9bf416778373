"""Drift: a window beside one before it. Both vary by chance, and thresholds are of both their sizes.

New values and those out of range are of training alone: no window knows all values.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

import numpy as np

from penstock.components.monitoring.measures.counts import FeatureCounts, WindowCounts
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import Measure, Sensitivity
from penstock.components.monitoring.windows import window
from penstock.components.window_monitor.findings import OF_TRAINING, Compared
from penstock.components.window_monitor.places import History
from penstock.core.artifacts.monitoring import WindowRecord
from penstock.core.artifacts.window_history import KeptCounts

BEFORE = "before"
_OF_DRIFT = 0.3  # of the rate of false alarms, where windows are compared with one another


@dataclass(frozen=True)
class Drift:
    """Which window is compared with: that before, or the one of the history that begins at a moment."""

    begin: datetime | None = None

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Reads the component's parameter; None of an empty one. A ConfigError if it is no moment."""
        if not text:
            return None
        return cls(None if text == BEFORE else window.moment("drift", text))

    def reference(self, kept: History, before: Sequence[WindowRecord], current: WindowRecord) -> WindowRecord | None:
        """Returns the record of the window that is compared with; None if there is none that can be."""
        if self.begin is not None:
            named = kept.named(current["model"], self.begin)
            return named if named and _can_be(named, current) else None
        return next((one for one in reversed(before) if _can_be(one, current)), None)


def _can_be(record: WindowRecord, current: WindowRecord) -> bool:
    """Whether a window has rows, counted over the bins of the same baseline, and ends before the current one."""
    is_over = datetime.fromisoformat(record["end"]) <= datetime.fromisoformat(current["begin"])
    return bool(record["rows"]) and record["baseline"] == current["baseline"] and is_over


def counts(parts: Sequence[Compared]) -> KeptCounts:
    """Returns what later windows are compared with."""
    return {
        part.subject: {
            name: {"values": one.values.tolist(), "lengths": one.lengths.tolist(), "words": one.words.tolist()}
            for name, one in part.counts.features.items()
        }
        for part in parts
    }


def shared(parts: Sequence[Compared]) -> list[Compared]:
    """Returns the comparisons with training, with what is left of the rate of false alarms."""
    return [replace(part, sensitivity=_with(part.sensitivity, 1 - _OF_DRIFT)) for part in parts]


def compared(parts: Sequence[Compared], kept: KeptCounts) -> list[Compared]:
    """Returns the comparisons with the counts of another window; none of what that has not counted alike."""
    result = []
    for part in parts:
        reference = _reference(part, kept.get(part.subject, {}))
        if reference is None:
            continue
        silent: dict[Measure, float] = dict.fromkeys(OF_TRAINING, math.inf)
        fixed = {name: {**part.sensitivity.fixed.get(name, {}), **silent} for name in part.reference.bins}
        sensitivity = replace(_with(part.sensitivity, _OF_DRIFT), fixed=fixed)
        result.append(replace(part, reference=reference, sensitivity=sensitivity, compared_with="window"))
    return result


def _with(sensitivity: Sensitivity, share: float) -> Sensitivity:
    return replace(sensitivity, false_alarm_rate=sensitivity.false_alarm_rate * share)


def _reference(part: Compared, kept: Mapping[str, Mapping[str, list[int]]]) -> Reference | None:
    features = {}
    for name, empty in part.counts.features.items():
        one = kept.get(name)
        if one is None or any(len(one[key]) != len(getattr(empty, key)) for key in ("values", "lengths", "words")):
            return None
        features[name] = FeatureCounts(*(np.asarray(one[key], np.int64) for key in ("values", "lengths", "words")))
    rows = max((one.rows for one in features.values()), default=0)
    return (
        Reference(WindowCounts(part.reference.bins, (), features, np.zeros((0, 0), np.int64), rows)) if rows else None
    )

"""Windows of a model that is monitored, and retrainings of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.components.retrainer.decisions import Observed
from penstock.components.retrainer.new_data import Data
from penstock.core.artifacts.monitoring import EstimatedMetric, Finding, Subject, WindowRecord

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
NEW, OLD = Data("new", "7", newer_spans=2, newer_rows=5_000), Data("old", "5", newer_spans=0, newer_rows=0)


def at(hours: float) -> datetime:
    return BEGIN + timedelta(hours=hours)


def finding(
    name: str, value: float, importance: float | None = 1.0, subject: Subject = "feature", threshold: float = 0.1
) -> Finding:
    """Returns a finding, which alerts above its threshold."""
    made = Finding(
        subject=subject,
        name=name,
        measure="jensen_shannon",
        value=value,
        threshold=threshold,
        alerts=value > threshold,
        rows=1000,
        sentence=f"{name} has moved.",
        cause="",
        figure="",
    )
    return made if importance is None else {**made, "importance": importance}


def estimated(metric: str, value: float, low: float, high: float, evaluation: float) -> EstimatedMetric:
    return EstimatedMetric(metric=metric, value=value, low=low, high=high, evaluation=evaluation)


def window(hour: int = 0, *findings: Finding, performance: list[EstimatedMetric] | None = None) -> WindowRecord:
    """Returns a window of an hour."""
    return WindowRecord(
        model="taxi",
        versions=[3],
        begin=at(hour).isoformat(),
        end=at(hour + 1).isoformat(),
        requests=100,
        rows=1000,
        sampled=1.0,
        baseline="baseline",
        left_out=[],
        notes=[],
        findings=list(findings),
        performance=performance or [],
    )


def observed(hour: int = 0, value: float = 0.5, data: Data = NEW, **options: Any) -> Observed:
    """Returns a window in which the miles are so far from training; 0.5 is five thresholds."""
    seen = window(hour, finding("miles", value))
    return Observed("taxi", seen, data, baseline="baseline", fingerprint="old", **options)

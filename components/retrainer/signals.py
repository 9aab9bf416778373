"""What speaks for a retraining: drift that matters, a model that has become worse, its age, new data."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from penstock.components.retrainer.new_data import Data
from penstock.components.retrainer.policy import Policy, length
from penstock.core import metrics, progress
from penstock.core.artifacts.gates import OVERALL
from penstock.core.artifacts.monitoring import Finding, WindowRecord, moved
from penstock.core.artifacts.retraining import Signal
from penstock.core.page import numbers

_FURTHEST = 100.0  # thresholds: where nothing is allowed, everything is as far
_NAMED = 3  # features that a sentence names
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Measured:
    """A metric over all rows of a window; `evaluation` is None where it was not evaluated."""

    metric: str
    value: float
    low: float
    high: float
    evaluation: float | None
    is_realised: bool


def of_window(window: WindowRecord, policy: Policy) -> Iterator[Signal]:
    """Yields what the findings and the performance of a window say."""
    if policy.drift is not None:
        yield from _drift(window, policy.drift)
    _tell_unknown(window, policy)
    yield from of_performance(window, policy)


def of_age(trained: datetime, now: datetime, policy: Policy) -> Iterator[Signal]:
    """Yields that a model is too old."""
    age, limit = now - trained, length(policy.max_age)
    if limit and age > limit:
        days, most = age.total_seconds() / 86_400, limit.total_seconds() / 86_400
        sentence = f"the model is {numbers.duration((now - trained).total_seconds())} old (at most {policy.max_age})"
        yield Signal(kind="age", name="", value=days, limit=most, sentence=sentence)


def of_data(data: Data, policy: Policy) -> Iterator[Signal]:
    """Yields that there is enough new data."""
    new, limit = data.newer_spans, policy.new_spans
    if limit and new is not None and new >= limit:
        sentence = f"{progress.text({'new spans': new})} (from {limit:,} on)"
        yield Signal(kind="new_spans", name="", value=new, limit=limit, sentence=sentence)
    new, limit = data.newer_rows, policy.new_rows
    if limit and new is not None and new >= limit:
        sentence = f"about {progress.text({'new rows': new})} (from {limit:,} on)"
        yield Signal(kind="new_rows", name="", value=new, limit=limit, sentence=sentence)


def of_person(reason: str) -> Signal:
    return Signal(kind="person", name="", value=None, limit=None, sentence=reason)


def _drift(window: WindowRecord, limit: float) -> Iterator[Signal]:
    """Importance times shift from the training data, summed over the features that alert, each by its strongest."""
    from_training = [one for one in window["findings"] if one.get("compared_with", "training") == "training"]
    features = [finding for finding in moved(from_training) if finding["subject"] == "feature"]
    known = any("importance" in one for one in window["findings"])
    pairs = ((_importance(one, known) * _shift(one), one) for one in features)
    weighed = sorted((pair for pair in pairs if pair[0] > 0), key=lambda pair: -pair[0])
    total = sum(matters for matters, _ in weighed)
    if total <= limit:
        return
    named = [
        f"{one['name']} is {numbers.number(_shift(one))} times its threshold away (importance "
        f"{numbers.percentage(_importance(one, known))})"
        for _, one in weighed[:_NAMED]
    ]
    more = f", and {len(weighed) - _NAMED} more" if len(weighed) > _NAMED else ""
    sentence = f"drift of {numbers.number(total)} (at most {numbers.number(limit)}): {', '.join(named)}{more}"
    yield Signal(kind="drift", name=weighed[0][1]["name"], value=total, limit=limit, sentence=sentence)


def of_performance(window: WindowRecord, policy: Policy) -> Iterator[Signal]:
    """Yields which metrics of a window are worse than they may be."""
    for finding in window["findings"]:
        if finding["subject"] == "performance" and finding["alerts"]:
            yield Signal(
                kind="performance",
                name=finding["name"],
                value=finding["value"],
                limit=finding["threshold"],
                sentence=finding["sentence"],
            )
    for metric in _measured(window):
        limit = _limit(metric, policy)
        lower = metrics.lower_is_better(metric.metric)
        if limit is None or not (metric.low > limit if lower else metric.high < limit):
            continue
        before = "" if metric.evaluation is None else f", in the evaluation {numbers.number(metric.evaluation)}"
        sentence = (
            f"{metric.metric} {'is' if metric.is_realised else 'is most likely'} {numbers.number(metric.value)} "
            f"({numbers.number(metric.low)} to {numbers.number(metric.high)}; "
            f"{'at most' if lower else 'at least'} {numbers.number(limit)}){before}"
        )
        yield Signal(kind="performance", name=metric.metric, value=metric.value, limit=limit, sentence=sentence)


def _measured(window: WindowRecord) -> Iterator[_Measured]:
    """Yields metrics over all rows with their intervals: where labels have come as these say, else as is estimated."""
    realised = set()
    for one in window.get("realised", []):
        value, low, high = one["value"], one["low"], one["high"]
        if one["slice"] != OVERALL or value is None or low is None or high is None:
            continue  # without an interval nobody knows that it is not chance
        realised.add(one["metric"])
        yield _Measured(one["metric"], value, low, high, one["evaluation"], is_realised=True)
    for metric in window.get("performance", []):
        if metric["metric"] not in realised:
            yield _Measured(**metric, is_realised=False)


def _tell_unknown(window: WindowRecord, policy: Policy) -> None:
    """Tells which limits are of no metric of the window: their names may be mistaken."""
    names = {one["metric"] for one in (*window.get("realised", []), *window.get("performance", []))}
    for name in sorted(policy.performance_limits.keys() - names if names else ()):
        logger.warning("performance_limits: the window has no metric %r; it has %s", name, ", ".join(sorted(names)))


def _limit(metric: _Measured, policy: Policy) -> float | None:
    """Returns what a metric is not to be on the bad side of: the limit that is set, else one of the evaluation's."""
    if metric.metric in policy.performance_limits:
        return policy.performance_limits[metric.metric]
    if policy.performance_loss is None or metric.evaluation is None:
        return None
    worse = policy.performance_loss * abs(metric.evaluation)
    return metric.evaluation + (worse if metrics.lower_is_better(metric.metric) else -worse)


def _importance(finding: Finding, known: bool) -> float:
    """Returns how much the model depends on a feature.

    Where that is `known` of any, as for WindowMonitor's order, one without counts nothing; else all are important ones.
    """
    return min(max(finding.get("importance", 0.0 if known else 1.0), 0.0), 1.0)


def _shift(finding: Finding) -> float:
    """Returns how many thresholds a feature is away."""
    value, threshold = finding["value"] or 0.0, finding["threshold"] or 0.0
    return min(value / threshold, _FURTHEST) if threshold > 0 else _FURTHEST

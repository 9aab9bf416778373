"""Findings of how good a model is: realised metrics, and where that is asked for estimated ones, beside their limits.

A metric alerts where its whole 95 % interval is on the wrong side of a limit, so that few rows alone alert of nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock.components.monitoring import words
from penstock.core import progress
from penstock.core.arguments import check_object, parse_object
from penstock.core.artifacts.gates import OVERALL
from penstock.core.artifacts.judged import Judged, MetricLimit
from penstock.core.artifacts.monitoring import EstimatedMetric, Finding, RealisedMetric
from penstock.core.errors import ConfigError
from penstock.core.page import metrics, numbers
from penstock.core.suggestions import did_you_mean
from penstock.core.text import printable

REALISED, ESTIMATED = "realised", "estimated"
_NAME = "performance"  # of the parameter
_KEYS = ("limits", "estimates_alert")
_EXAMPLE = '{"limits": {"auc": 0.8}}'
# What the evaluation may call the metrics that are estimated.
_EVALUATED_AS = {
    "accuracy": ("accuracy", "binary_accuracy", "sparse_categorical_accuracy", "categorical_accuracy"),
}


@dataclass(frozen=True)
class Limits:
    """What metrics are to be.

    Args:
        configured: By metric, the limit of all rows; None: it never alerts. They go before those of the evaluation.
        judged: The evaluation of the model, with its limits; None where nobody knows it.
        estimates_alert: Whether estimated metrics alert as well.
    """

    configured: Mapping[str, float | None]
    judged: Judged | None
    estimates_alert: bool = False

    @classmethod
    def read(cls, text: str, judged: Judged | None) -> "Limits":
        """Reads the component's parameter; a ConfigError for a metric that neither is estimated nor was evaluated."""
        values = parse_object(_NAME, text, _KEYS, _EXAMPLE)
        configured = check_object(f"{_NAME}.limits", values["limits"]) if values.get("limits") else {}
        estimates_alert = values.get("estimates_alert") or False
        if not isinstance(estimates_alert, bool):
            received = printable.value(estimates_alert)
            raise ConfigError(f"{_NAME}.estimates_alert: expected true or false, received {received}")
        slices = judged["slices"] if judged else []
        known = {name for part in slices for name in part["metrics"]} | set(words.METRICS)
        for name, limit in configured.items():
            if name not in known:
                raise ConfigError(f"{_NAME}: there is no metric {name!r}; {did_you_mean(name, sorted(known))}")
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
                raise ConfigError(f"{_NAME}.{name}: expected a number or null, received {printable.value(limit)}")
        return cls(configured, judged, estimates_alert)

    def of(self, metric: str, features: Sequence[tuple[str, str]]) -> tuple[float | None, float | None]:
        """Returns the least and the greatest that a metric is to be in a slice, None where there is no bound."""
        if not features and metric in self.configured:
            limit = self.configured[metric]
            lower_is_better = self.judged is not None and metric in self.judged["lower_is_better"]
            return (None, limit) if lower_is_better or metric == "mean_absolute_error" else (limit, None)
        if metric in self.configured and self.configured[metric] is None:
            return None, None
        least, most = None, None
        for bound in self.judged["limits"] if self.judged else ():
            if bound["metric"] == metric and _applies(bound, dict(features)):
                least = max((one for one in (least, bound["least"]) if one is not None), default=None)
                most = min((one for one in (most, bound["most"]) if one is not None), default=None)
        return least, most

    def has_any(self, features: Sequence[tuple[str, str]]) -> bool:
        """Whether a metric has a limit in a slice."""
        named = {limit["metric"] for limit in self.judged["limits"]} if self.judged else set()
        return any(self.of(metric, features) != (None, None) for metric in named | set(self.configured))

    def realised(self, metric: RealisedMetric, features: Sequence[tuple[str, str]]) -> Finding | None:
        """Returns the finding of a realised metric; None of one without a value or a limit."""
        least, most = self.of(metric["metric"], features)
        if metric["value"] is None:
            return None
        interval = metric["low"], metric["high"]
        counted = f" of {progress.text({'rows': metric['rows']})} with a label"
        return _finding(
            (name_of(metric), REALISED),
            metric["value"],
            interval,
            (least, most),
            metric["rows"],
            f"{_worded(metric['metric'])}{printable.printable(_where(metric))}{counted}",
            metric["evaluation"],
        )

    def estimated(self, metric: EstimatedMetric, rows: int) -> Finding | None:
        """Returns the finding of an estimated metric; None where it has no limit, or nobody wants to know."""
        if not self.estimates_alert:
            return None
        bounds = [self.of(name, ()) for name in _EVALUATED_AS.get(metric["metric"], (metric["metric"],))]
        chosen = next((one for one in bounds if one != (None, None)), (None, None))
        return _finding(
            (metric["metric"], ESTIMATED),
            metric["value"],
            (metric["low"], metric["high"]),
            chosen,
            rows,
            f"Estimated {words.METRICS[metric['metric']]}",
            metric["evaluation"],
        )


def name_of(metric: RealisedMetric) -> str:
    """Returns what a finding calls a metric: "auc", or "auc for island=Dream"."""
    return metric["metric"] + _where(metric)


def _where(metric: RealisedMetric) -> str:
    return "" if metric["slice"] == OVERALL else f" for {metric['slice']}"


def _applies(limit: MetricLimit, features: Mapping[str, str]) -> bool:
    spec = limit["slices"]
    if spec is None:
        return True
    return spec.keys() == features.keys() and all(value in (None, features[name]) for name, value in spec.items())


def _finding(
    named: tuple[str, str],
    value: float,
    interval: tuple[float | None, float | None],
    bounds: tuple[float | None, float | None],
    rows: int,
    what: str,
    evaluation: float | None,
) -> Finding | None:
    """Returns the finding of a metric beside the bound that it is nearest to; `named` are its name and its measure."""
    (least, most), (low, high) = bounds, interval
    if least is None and most is None:
        return None
    below = most is None or (least is not None and value - least <= most - value)
    limit = least if below else most
    edge = high if below else low  # the interval's end on the good side
    assert limit is not None
    beyond = edge is not None and (edge < limit if below else edge > limit)
    shown = numbers.number(value)
    if low is not None and high is not None:
        shown += f" ({numbers.number(low)} to {numbers.number(high)})"
    before = "" if evaluation is None else f"; in the evaluation {numbers.number(evaluation)}"
    finding = Finding(
        subject="performance",
        name=named[0],
        measure=named[1],
        value=value,
        threshold=limit,
        alerts=beyond,
        rows=rows,
        sentence=f"{what} {shown}; it must be at {'least' if below else 'most'} {numbers.number(limit)}{before}.",
        cause="",
        figure="performance",
    )
    if below:
        finding["side"] = "below"
    if low is not None and high is not None:
        finding.update({"low": low, "high": high})
    return finding


def _worded(metric: str) -> str:
    name = metrics.Scale("other", "").name_of_differences(metric)
    return f"{name[:1].upper()}{name[1:]}"

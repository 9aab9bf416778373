"""Approximate 95 % intervals of metrics, by formulas: nothing is resampled, so they cost nothing, and hold for examples
that are independent of each other.

- Proportions: E. Wilson, Probable Inference, Journal of the American Statistical Association 22, 1927.
- The area under the ROC curve: J. Hanley and B. McNeil, The Meaning and Use of the Area under a ROC Curve, Radiology
  143, 1982; on the scale of logits, which keeps the bounds between 0 and 1.
- The area under the curve of precision and recall: K. Boyd, K. Eng and C. Page, Area under the Precision-Recall Curve:
  Point Estimates and Confidence Intervals, ECML PKDD 2013: the logit interval.
- Means of losses and errors: Student's t; of a root by the delta method.
"""

import math
from collections.abc import Callable

import scipy.special  # type: ignore[import-untyped]
from tensorflow_model_analysis.metrics.metric_types import MetricKey
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.eval_config import candidate_name
from penstock.components.evaluator.metrics.evidence import ClassSizes, Evidence, Spread
from penstock.components.evaluator.tfma import undefined
from penstock.core import metrics
from penstock.core.artifacts.evaluation_summary import Measure

type Bounds = tuple[float, float]
_CONFIDENCE = 0.95
_NORMAL = float(scipy.special.ndtri((1 + _CONFIDENCE) / 2))
_FEWEST = 2  # examples of each class, of which an area has an interval
_SIGNED = ("Poisson",)  # losses that may be less than 0


class Intervals:
    """Finds the intervals of the metrics of a config, which knows what their names stand for."""

    def __init__(self, config: EvalConfig):
        self._candidate = candidate_name(config)
        self._asked = {
            undefined.name_of(metric): (metric.class_name, undefined.settings(metric))
            for spec in config.metrics_specs
            for metric in spec.metrics
            if not metric.module
        }

    def measure(self, key: MetricKey, value: float, evidence: Evidence) -> Measure:
        """Returns a value with its interval, if there is one: not of a class among several, nor of a mean of these."""
        bounds = None
        if key.name in self._asked and key.sub_key is None and key.aggregation_type is None:
            bounds = self._bounds(key, value, evidence)
        if bounds is None:
            return Measure(value=value)
        return Measure(value=value, low=bounds[0], high=bounds[1], approximate=True)

    def _bounds(self, key: MetricKey, value: float, evidence: Evidence) -> Bounds | None:
        kind, settings = self._asked[key.name]
        spread = evidence.spreads.get(key)
        if spread is not None:
            return wilson(value, spread.examples) if kind.endswith("Accuracy") else _of_mean(kind, value, spread)
        if evidence.classes is None or settings.keys() & {"top_k", "class_id", "multi_label", "label_weights"}:
            return None
        sizes = evidence.classes[bool(key.example_weighted)]
        if kind == "Precision":  # only at the threshold at which it is known how many are called positive
            is_known = key.model_name in ("", self._candidate) and "thresholds" not in settings
            return wilson(value, sizes.called) if is_known else None
        if kind == "AUC" and str(settings.get("curve", "")).upper() == "PR":
            kind = "AUCPrecisionRecall"
        return _OF_CLASSES[kind](value, sizes) if kind in _OF_CLASSES else None


def wilson(share: float, examples: float) -> Bounds | None:
    """Returns the score interval of a proportion of so many examples; None of none."""
    if not (examples > 0 and 0 <= share <= 1):
        return None
    square = _NORMAL * _NORMAL
    middle = (share + square / (2 * examples)) / (1 + square / examples)
    spread = math.sqrt(share * (1 - share) / examples + square / (4 * examples * examples))
    reach = _NORMAL * spread / (1 + square / examples)
    return (middle - reach if share > 0 else 0.0), (middle + reach if share < 1 else 1.0)  # exactly, but for rounding


def roc_area(area: float, positive: float, negative: float) -> Bounds | None:
    """Returns the interval of the area under a ROC curve; None if it is 0 or 1, or if a class has too few examples."""
    if not (0 < area < 1 and min(positive, negative) >= _FEWEST):
        return None
    of_two_positive, of_two_negative = area / (2 - area), 2 * area * area / (1 + area)
    variance = (
        area * (1 - area)
        + (positive - 1) * (of_two_positive - area * area)
        + (negative - 1) * (of_two_negative - area * area)
    ) / (positive * negative)
    return _of_logit(area, math.sqrt(variance) / (area * (1 - area)))


def precision_recall_area(area: float, positive: float) -> Bounds | None:
    """Returns the interval of the area under a curve of precision and recall; None as in `roc_area`."""
    if not (0 < area < 1 and positive >= _FEWEST):
        return None
    return _of_logit(area, 1 / math.sqrt(positive * area * (1 - area)))


def mean(value: float, spread: Spread) -> Bounds:
    """Returns the interval of a mean."""
    reach = float(scipy.special.stdtrit(spread.examples - 1, (1 + _CONFIDENCE) / 2)) * spread.standard_error
    return value - reach, value + reach


def _of_mean(kind: str, value: float, spread: Spread) -> Bounds:
    low, high = mean(value, spread)
    is_positive = metrics.lower_is_better(kind) and kind not in _SIGNED
    return (max(0.0, low), high) if is_positive else (low, high)


def _of_logit(share: float, standard_error: float) -> Bounds:
    logit, reach = math.log(share / (1 - share)), _NORMAL * standard_error
    return float(scipy.special.expit(logit - reach)), float(scipy.special.expit(logit + reach))


_OF_CLASSES: dict[str, Callable[[float, ClassSizes], Bounds | None]] = {
    "AUC": lambda value, sizes: roc_area(value, sizes.positive, sizes.negative),
    "AUCPrecisionRecall": lambda value, sizes: precision_recall_area(value, sizes.positive),
    "BinaryAccuracy": lambda value, sizes: wilson(value, sizes.all),
    "Recall": lambda value, sizes: wilson(value, sizes.positive),
    "Specificity": lambda value, sizes: wilson(value, sizes.negative),
}

"""How a model's rate of false alarms is shared between its features, their dependence, and its predictions."""

import math
from collections.abc import Mapping

from penstock.components.monitoring.measures.thresholds import Sensitivity
from penstock.core.artifacts.monitoring import Subject

_OF_PREDICTIONS = 0.2  # of the rate, where predictions are monitored at all


def of(
    subject: Subject, rate: float, fixed: Mapping[str, Mapping[str, float | None]], with_predictions: bool
) -> Sensitivity:
    """Returns the sensitivity for features (and pairs of them), or for predictions.

    rate: The share of all windows that may alert although nothing has changed.
    fixed: Thresholds that are not derived, by name and measure; None: never.
    """
    of_predictions = _OF_PREDICTIONS if with_predictions else 0.0
    limits = {
        name: {measure: math.inf if limit is None else limit for measure, limit in measures.items()}
        for name, measures in fixed.items()
    }
    share = of_predictions if subject == "prediction" else 1 - of_predictions
    return Sensitivity(false_alarm_rate=rate * share, fixed=limits)  # type: ignore[arg-type]

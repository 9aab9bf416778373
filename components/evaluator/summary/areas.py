"""The areas under the curves of a binary classifier, exact for any distribution of predictions.

TFMA adds up 10,000 thresholds, which takes too long where only the difference between two areas is asked for, of many
copies of the same rows.
"""

import numpy as np
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.proto.config_pb2 import MetricsSpec

_CURVES = {"AUC": "ROC", "AUCPrecisionRecall": "PR"}


def curve(specs: MetricsSpec) -> str:
    """Returns the curve of which the only metric of a spec is the area: ROC or PR; "" if it is another metric."""
    (metric,) = specs.metrics
    if metric.class_name not in _CURVES or any(map(specs.HasField, ("binarize", "aggregate", "example_weights"))):
        return ""
    asked = metric_specs._metric_config(metric.config).get("curve")
    return str(asked or _CURVES[metric.class_name]).upper()


def area(curve: str, labels: np.ndarray, predictions: np.ndarray, weights: np.ndarray) -> float | None:
    """Returns the area under the curve; None if it is not defined, as all examples are of one class.

    Of precision and recall it is the average precision.
    """
    order = np.argsort(-predictions, kind="stable")
    positive, negative = (weights * labels)[order], (weights * (1 - labels))[order]
    last: np.ndarray = np.append(np.flatnonzero(np.diff(predictions[order])), len(order) - 1)  # of equal predictions
    true: np.ndarray = np.append(0.0, np.cumsum(positive)[last])
    false: np.ndarray = np.append(0.0, np.cumsum(negative)[last])
    if not true[-1] > 0 or (curve == "ROC" and not false[-1] > 0):
        return None
    if curve == "ROC":
        return float(np.trapezoid(true / true[-1], false / false[-1]))
    return float(np.sum(np.diff(true) / true[-1] * (true / np.maximum(true + false, 1e-300))[1:]))

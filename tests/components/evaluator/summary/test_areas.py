"""Areas under curves against scikit-learn, with ties, weights and one class alone."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from tensorflow_model_analysis.proto.config_pb2 import MetricConfig, MetricsSpec

from penstock.components.evaluator.summary import areas


@pytest.mark.parametrize("decimals", [1, 8])
def test_areas_are_scikit_learns(decimals: int) -> None:
    generator = np.random.default_rng(5)
    labels, weights = generator.integers(0, 2, 400), generator.uniform(0.1, 3, 400)
    predictions = np.round(generator.beta(1 + labels, 2), decimals)
    roc = roc_auc_score(labels, predictions, sample_weight=weights)
    precision = average_precision_score(labels, predictions, sample_weight=weights)
    assert areas.area("ROC", labels, predictions, weights) == pytest.approx(roc, rel=1e-9)
    assert areas.area("PR", labels, predictions, weights) == pytest.approx(precision, rel=1e-9)


def test_of_one_class_there_is_no_area() -> None:
    predictions, weights = np.linspace(0, 1, 9), np.ones(9)
    assert areas.area("ROC", np.ones(9), predictions, weights) is None
    assert areas.area("ROC", np.zeros(9), predictions, weights) is None
    assert areas.area("PR", np.zeros(9), predictions, weights) is None
    assert areas.area("PR", np.ones(9), predictions, weights) == 1


@pytest.mark.parametrize(
    ("class_name", "config", "expected"),
    [
        ("AUC", "", "ROC"),
        ("AUC", '{"curve": "PR"}', "PR"),
        ("AUC", '"curve": "pr"', "PR"),
        ("AUCPrecisionRecall", "", "PR"),
        ("Precision", "", ""),
    ],
)
def test_the_curve_is_that_of_the_metric(class_name: str, config: str, expected: str) -> None:
    specs = MetricsSpec(metrics=[MetricConfig(class_name=class_name, config=config)])
    assert areas.curve(specs) == expected
    specs.binarize.class_ids.values.append(1)
    assert areas.curve(specs) == ""

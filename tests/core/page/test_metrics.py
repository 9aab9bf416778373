"""Metrics as people write them."""

import pytest

from penstock.core.page.metrics import Scale

LATE = Scale("binary", "arrival", ("on time", "late"))
PRICE = Scale("regression", "price")


@pytest.mark.parametrize(
    ("scale", "metric", "value", "name", "text"),
    [
        (LATE, "auc", 0.79795, "AUC", "0.798"),
        (LATE, "auc_precision_recall", 0.5512, "AUC-PR", "0.551"),
        (LATE, "recall", 0.5512, "recall", "55.1%"),
        (LATE, "binary_accuracy", 0.7756, "accuracy", "77.6%"),
        (LATE, "binary_crossentropy", 0.4742, "log loss", "0.474"),
        (LATE, "mean_prediction", 0.2481, "mean prediction", "24.8%"),
        (LATE, "true_positives", 12345.0, "true positives", "12,345"),
        (LATE, "precision for class 1", 0.5, "precision for class late", "50%"),
        (LATE, "precision for class 7", 0.5, "precision for class 7", "50%"),
        (LATE, "f1_score as macro average", 0.5123, "F1 as macro average", "0.512"),
        (LATE, "my_own_metric", 3.14159, "my own metric", "3.14"),
        (PRICE, "root_mean_squared_error", 15512.3, "RMSE in price", "15,500"),
        (PRICE, "mean_squared_error", 240_631_451.0, "RMSE in price", "15,500"),
        (Scale("regression", ""), "mean_squared_error", 9.0, "RMSE", "3"),
        (PRICE, "mean_absolute_percentage_error", 11.42, "MAPE", "11.4%"),
        (PRICE, "mean_label", 99123.0, "mean label in price", "99,100"),
        (PRICE, "r2_score", 0.87, "R²", "0.87"),
        (PRICE, "auc", None, "AUC", ""),
    ],
)
def test_names_and_values(scale: Scale, metric: str, value: float | None, name: str, text: str) -> None:
    assert scale.name(metric) == name
    assert scale.value(metric, value) == text


def test_differences() -> None:
    assert LATE.difference("auc", 0.8208, 0.8) == "+0.021"
    assert LATE.difference("binary_accuracy", 0.5, 0.5123) == "-1.2 points"
    assert PRICE.difference("mean_absolute_percentage_error", 11.5, 10) == "+1.5 points"
    assert PRICE.difference("root_mean_squared_error", 1000, 1401.2) == "-400"
    assert LATE.difference("auc", 0.1 + 0.2, 0.3) == "0"
    assert PRICE.difference("mean_squared_error", 9.0, 16.0) == "-1"
    assert [PRICE.signed("mean_squared_error", value) for value in (100, 0, -100)] == ["+100", "0", "-100"]
    assert PRICE.name_of_differences("mean_squared_error") == "MSE in price²"

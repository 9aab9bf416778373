"""What is known of metrics by their names."""

import pytest

from penstock.core import metrics

LOWER = (
    *("MeanSquaredError", "root_mean_squared_error", "binary_crossentropy", "KLDivergence", "FN", "fpr", "FallOut"),
    *("miss_rate", "MissRate", "LogCoshError", "logcosh", "rmse", "val_loss", "MAPE", "mae of price", "fall_out"),
    *("BinaryCrossEntropy", "CategoricalCrossEntropy", "SparseCategoricalCrossentropy", "BinaryFocalCrossentropy"),
    *("Huber", "KLD", "NegativeLikelihoodRatio", "SymmetricFlipRate", "SymmetricPredictionDifference"),
    *("MinLabelPosition", "FalsePositives", "false_positive_rate", "SemanticSegmentationFalsePositive"),
)
HIGHER = (
    *("AUC", "auc_precision_recall", "sparse_categorical_accuracy", "f1_score", "NPV", "precision for class 1"),
    *(
        "auc of loss_ratio",
        "recall of false_alarm for class 2",
        "emission_accuracy",
        "dismissed_recall",
        "auc (weighted)",
        "RecallAtFalsePositiveRate",
        "recall_at_false_positive_rate",
    ),
)


@pytest.mark.parametrize("name", LOWER)
def test_of_errors_and_losses_less_is_better(name: str) -> None:
    assert metrics.lower_is_better(name)


@pytest.mark.parametrize("name", HIGHER)
def test_of_others_more_is_better(name: str) -> None:
    assert not metrics.lower_is_better(name)


@pytest.mark.parametrize(
    ("class_name", "name"),
    [
        ("SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy"),
        ("KLDivergence", "kullback_leibler_divergence"),
        ("LogCoshError", "logcosh"),
        ("FBetaScore", "fbeta_score"),
        ("R2Score", "r2_score"),
        ("RootMeanSquaredError", "root_mean_squared_error"),
    ],
)
def test_a_metric_is_called_as_keras_calls_it(class_name: str, name: str) -> None:
    assert metrics.in_snake_case(class_name) == name


def test_counts_and_means_tell_nothing_of_a_models_quality() -> None:
    asked = ["example_count", "WeightedExampleCount", "mean_label", "MeanPrediction", "auc", "mean_absolute_error"]
    asked += ["calibration", "weighted_example_count", "MeanLabel", "auc of calibration"]
    assert [name for name in asked if metrics.tells_quality(name)] == [
        "auc",
        "mean_absolute_error",
        "auc of calibration",
    ]


def test_a_squared_error_is_told_in_the_labels_unit() -> None:
    assert metrics.in_the_labels_unit("val_mean_squared_error", 4.624e9) == ("val_root_mean_squared_error", 68_000)
    for name in ("root_mean_squared_error", "mean_absolute_error", "auc"):
        assert metrics.in_the_labels_unit(name, 4.0) == (name, 4.0)


def test_a_mean_squared_error_is_told_once_as_its_root() -> None:
    squared = {"mean_squared_error": 9.0, "mean_absolute_error": 2.0}
    assert list(metrics.in_the_labels_units(squared).items()) == [
        ("root_mean_squared_error", 3.0),
        ("mean_absolute_error", 2.0),
    ]
    both = {"mean_squared_error": 9.0, "root_mean_squared_error": 3.0, "auc": None}
    assert metrics.in_the_labels_units(both) == {"root_mean_squared_error": 3.0, "auc": None}
    assert metrics.in_the_labels_units({"mean_squared_error": None}) == {"root_mean_squared_error": None}

"""What a run's end tells of its model."""

from typing import Any

import pytest

from penstock.core.artifacts.evaluation_summary import EvaluationSummary
from penstock.pipelines.local.report import model_lines


def measures(**values: float | None) -> dict[str, Any]:
    return {name: {"value": value} for name, value in values.items()}


def numbers(model: str, split: str, examples: int, **values: float | None) -> dict[str, Any]:
    return {"model": model, "split": split, "examples": examples, "metrics": measures(**values)}


def part(examples: int, value: float | None, *features: tuple[str, str]) -> dict[str, Any]:
    return {"features": list(features), "examples": examples, "metrics": measures(auc=value), "baseline": {}}


@pytest.fixture
def summary() -> EvaluationSummary:
    return EvaluationSummary(
        problem="binary",
        label="late",
        classes=["no", "yes"],
        main_metric="auc",
        lower_is_better=[],
        splits=["eval"],
        numbers=[
            numbers("candidate", "train", 2000, auc=0.97123, accuracy=0.9),
            numbers("trivial", "train", 2000, auc=0.5),
            numbers("trivial", "eval", 2000, auc=0.5),
            numbers("candidate", "eval", 109_018, accuracy=0.8761, auc=0.92249, example_count=109_018),
            numbers("baseline", "eval", 109_018, accuracy=None, auc=0.9),
        ],
        slices=[
            part(109_018, 0.92249),
            part(3000, 0.81, ("carrier", "HA")),
            part(30, 0.7, ("carrier", "HA"), ("month", "5")),
            part(3, 0.1, ("carrier", "OO")),
            part(500, None, ("carrier", "YV")),
            part(5000, 0.95, ("carrier", "B6")),
        ],
        importance=[],
        effects=[],
        sampled_rows=0,
    )


def test_the_metrics_stand_beside_those_of_other_models_and_splits(summary: EvaluationSummary) -> None:
    assert list(model_lines.lines(summary)) == [
        "metrics (positive: yes)     eval  baseline  trivial  train",
        "auc                        0.922       0.9      0.5  0.971",
        "accuracy                   0.876         -             0.9",
        "examples                 109,018   109,018    2,000  2,000",
        "worst slices by auc, of 3 with 20 examples or more",
        "  carrier=HA, month=5     0.7  30 examples",
        "  carrier=HA             0.81  3,000 examples",
    ]


def test_errors_are_in_the_unit_of_the_label(summary: EvaluationSummary) -> None:
    summary["problem"], summary["label"], summary["main_metric"] = "regression", "price", "mean_squared_error"
    summary["numbers"] = [
        numbers("candidate", "eval", 300, mean_squared_error=4.6e9, mean_absolute_error=41_234.5, mean_label=2e5)
    ]
    assert list(model_lines.lines(summary)) == [
        "metrics (errors in the unit of price)    eval",
        "root_mean_squared_error                67,800",
        "mean_absolute_error                    41,200",
        "examples                                  300",
    ]


def test_the_worst_slices_are_in_the_unit_of_the_table(summary: EvaluationSummary) -> None:
    summary["problem"], summary["label"], summary["main_metric"] = "regression", "price", "mean_squared_error"
    summary["lower_is_better"] = ["mean_squared_error"]
    slices = [(4.6e9, []), (6.4e9, [("town", "Ames")]), (8.1e9, [("town", "Boone")])]
    summary["slices"] = [
        {"features": features, "examples": 300, "metrics": measures(mean_squared_error=value), "baseline": {}}
        for value, features in slices
    ]
    assert list(model_lines.lines(summary))[-3:] == [
        "worst slices by root_mean_squared_error, of 2 with 20 examples or more",
        "  town=Boone  90,000  300 examples",
        "  town=Ames   80,000  300 examples",
    ]


def test_the_worst_slices_are_by_a_class_of_that_name(summary: EvaluationSummary) -> None:
    summary["main_metric"] = "recall for class 1"
    for part in summary["slices"]:
        part["metrics"]["recall for class 1"] = part["metrics"]["auc"]
    (title,) = [line for line in model_lines.lines(summary) if line.startswith("worst slices")]
    assert title == "worst slices by recall for class yes, of 3 with 20 examples or more"


def test_splits_that_were_evaluated_together_are_one_column(summary: EvaluationSummary) -> None:
    summary["splits"], summary["numbers"] = ["eval", "test"], []
    assert next(model_lines.lines(summary)) == "metrics (positive: yes)  eval+test"


def test_less_is_worse_unless_it_is_an_error(summary: EvaluationSummary) -> None:
    summary["lower_is_better"] = ["auc"]
    assert list(model_lines.lines(summary))[-1] == "  carrier=B6    0.95  5,000 examples"


def test_many_metrics_are_cut(summary: EvaluationSummary) -> None:
    summary["numbers"] = [numbers("candidate", "eval", 9, **{f"recall_{place}": 0.5 for place in range(20)})]
    assert "and 12 more metrics, in the report" in list(model_lines.lines(summary))


def test_a_model_of_which_nothing_was_measured_has_no_lines(summary: EvaluationSummary) -> None:
    summary["main_metric"] = ""
    summary["numbers"] = [numbers("candidate", "eval", 9, example_count=9)]
    assert list(model_lines.lines(summary)) == []

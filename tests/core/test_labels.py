"""Whether a label's values are classes, what problem they ask for, and the label that stands beside a model."""

from pathlib import Path

import pytest

from penstock.core.labels import FEW_CLASSES, PROBLEMS, ROWS_FOR_A_CLASS, Label, Problem, Values

FEW = Values("integer", least=1, greatest=FEW_CLASSES)
ENOUGH = ROWS_FOR_A_CLASS * FEW_CLASSES


@pytest.mark.parametrize(
    ("values", "rows", "are_classes", "problem"),
    [
        (Values("string"), 1, True, "multiclass"),
        (Values("string", two=True), 1, True, "binary"),
        (Values("integer", two=True, least=-1000, greatest=1000), 2, True, "binary"),
        (Values("float", two=True, least=0.25, greatest=0.75), 2, True, "binary"),
        (FEW, ENOUGH, True, "multiclass"),
        (FEW, ENOUGH - 1, True, "regression"),
        (Values("integer", least=0, greatest=FEW_CLASSES), 10 * ENOUGH, False, "regression"),
        (Values("float", least=0.0, greatest=3.0), 10 * ENOUGH, False, "regression"),
        (Values("float", least=float("-inf"), greatest=float("inf")), ENOUGH, False, "regression"),
    ],
)
def test_values_decide_the_problem(values: Values, rows: int, are_classes: bool, problem: Problem) -> None:
    assert values.are_classes is are_classes
    assert values.problem(rows) == problem


@pytest.mark.parametrize("classes", [(), ("ja", "nein", "größer"), (0, 1), (0.25, 0.75)])
def test_a_label_is_read_as_it_was_written(tmp_path: Path, classes: tuple[str | int | float, ...]) -> None:
    assert Label.read(tmp_path) is None
    label = Label("y", "y_xf", PROBLEMS[len(classes) % 3], classes)
    label.write(tmp_path)
    assert Label.read(tmp_path) == label

"""What a column is: of integers that doubles round, and in splits that differ."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from penstock.core.errors import DataError
from penstock.core.labels import Label
from penstock.trainer.plan.features import Categorical, Date, Numeric
from penstock.trainer.plan.plan import Plan
from tests.trainer.plan.plans import by_output, plan

Tables = Callable[..., Any]
BIG = 2**53


def with_eval(table: Tables, column: list[Any], eval_values: list[Any]) -> Plan:
    """Plans a table of two columns, x and the label y, whose last rows are split eval."""
    rows = len(column) + len(eval_values)
    return plan(
        table({"x": column + eval_values, "y": [row // 3 % 2 for row in range(rows)]}, eval_rows=len(eval_values)), "y"
    )


@pytest.mark.parametrize("base", [BIG, -BIG - 1, 2**63 - 3, -(2**63)])
def test_large_integers_that_differ_by_one_are_a_feature(table: Tables, base: int) -> None:
    columns = {
        "x": [base + row // 3 % 2 for row in range(120)],
        "key": [base + row % 2 + 2 * (row // 2 % 60) if base < 0 else base - 200 + row for row in range(120)],
        "same": [base] * 120,
        "y": [row % 2 for row in range(120)],
    }
    made = plan(table(columns), "y")
    assert by_output(made)["x_xf"] == Numeric("x", "x_xf", origin=int(float(base)))
    assert made.ignored["same"] == f"it is {base} in every row"
    assert made.ignored["key"] == "its 120 integers all differ, as keys do"


@pytest.mark.parametrize("base", [BIG, -BIG - 1, 2**63 - 5])
@pytest.mark.parametrize(
    ("values", "problem"), [((0, 1), "binary"), ((0, 1, 2), "multiclass"), ((0, 3, 4), "multiclass")]
)
def test_classes_of_a_label_have_all_their_digits(
    table: Tables, base: int, values: tuple[int, ...], problem: str
) -> None:
    columns = {"x": range(90), "y": [base + values[row % len(values)] for row in range(90)]}
    classes = range(base + values[0], base + values[-1] + 1)
    assert plan(table(columns), "y").label == Label("y", "y_xf", problem, tuple(classes))  # type: ignore[arg-type]


def test_two_integers_far_apart_are_two_classes(table: Tables) -> None:
    columns = {"x": range(90), "y": [(-(2**62) - 1, 2**62 + 1)[row % 2] for row in range(90)]}
    assert plan(table(columns), "y").label.classes == (-(2**62) - 1, 2**62 + 1)


def test_a_label_of_large_integers_as_numbers_is_noted(table: Tables) -> None:
    made = plan(table({"x": range(90), "y": [BIG + row for row in range(90)]}), "y")
    assert made.label.problem == "regression"
    assert made.notes["y"].startswith(f"it holds numbers from {BIG} to {BIG + 89}, of which a model learns 32 bits: ")


def test_a_large_constant_label_is_told_with_its_digits(table: Tables) -> None:
    with pytest.raises(DataError, match=rf"label y is {BIG + 1} in every row"):
        plan(table({"x": range(60), "y": [BIG + 1] * 60}), "y")


def test_a_word_in_another_split_is_noted(table: Tables) -> None:
    """The whole column is text by one cell; the split to train on holds numbers alone."""
    numbers = [str(row * 7 % 160 * 13) for row in range(160)]
    made = with_eval(table, numbers, [*numbers[:79], "n/a"])
    assert made.features == (Numeric("x", "x_xf"),)
    assert made.notes == {
        "x": "it holds numbers beside 'n/a' (in eval), so it is text; it is read as numbers, and those are taken for "
        "missing, which data.csv.null_values tells everything else that reads the data"
    }


def test_few_numbers_with_a_word_in_another_split_are_categories_and_noted(table: Tables) -> None:
    ratings = [str(row % 5 + 1) for row in range(160)]
    made = with_eval(table, ratings, [*ratings[:79], "NA"])
    assert made.features == (Categorical("x", "x_xf"),)
    assert made.notes == {
        "x": "it holds numbers beside 'NA' (in eval), so it is text; if those mean a missing value, "
        "data.csv.null_values tells it"
    }


@pytest.mark.parametrize("word", ["n/a", "-", "#N/A"])
@pytest.mark.parametrize("in_eval", [False, True])
def test_one_word_among_thousands_of_numbers_is_seen(table: Tables, word: str, in_eval: bool) -> None:
    """Numbers that occur several times fill the list of the most frequent values."""
    cells = [f"{row * 7919 % 2003}" for row in range(8012)]
    cells[8000 if in_eval else 5] = word
    made = with_eval(table, cells[:6009], cells[6009:])
    assert made.features == (Numeric("x", "x_xf"),)
    assert f"beside {word!r}{' (in eval)' if in_eval else ''}, so it is text; it is read as numbers" in made.notes["x"]


def test_a_split_of_words_alone_is_seen(table: Tables) -> None:
    made = with_eval(table, [f"{row * 7 % 160}.5" for row in range(160)], ["n/a"])
    assert made.features == (Numeric("x", "x_xf"),)
    assert "'n/a' (in eval)" in made.notes["x"]


def test_a_label_of_numbers_with_a_word_in_another_split(table: Tables) -> None:
    columns = {"y": [f"{row}.5" for row in range(160)] + ["n/a"], "x": range(161)}
    with pytest.raises(DataError, match=re.escape("it holds numbers beside 'n/a'")):
        plan(table(columns, eval_rows=1), "y")


def test_dates_of_all_splits_decide_how_they_are_written(table: Tables) -> None:
    ambiguous = [f"{row % 12 + 1:02}/{row % 11 + 1:02}/2024" for row in range(160)]
    assert with_eval(table, ambiguous, ambiguous[:40]).notes
    made = with_eval(table, ambiguous, [*ambiguous[:39], "31/01/2024"])
    assert [feature.format for feature in made.features if isinstance(feature, Date)] == ["%d/%m/%Y"]
    assert not made.notes
    unread = with_eval(table, [f"2024-01-{row % 28 + 1:02}" for row in range(160)], ["2024-01-03", "soon"])
    assert unread.notes == {"x": "it holds dates beside 'soon': those are taken for missing"}


def test_several_values_in_another_split_count(table: Tables) -> None:
    made = with_eval(table, [[row / 7] for row in range(80)], [[1.5], [0.5, 2.5]])
    assert [feature.of for feature in made.features if isinstance(feature, Numeric)] == ["mean", "min", "max", "count"]


def test_what_is_left_out_is_of_the_split_to_train_on(table: Tables) -> None:
    rows = 80
    columns = {
        "one": [1] * rows + [2, 1],
        "none": [None] * rows + [5, 6],
        "always": [1] * (rows + 2),
        "x": range(rows + 2),
        "y": [row // 3 % 2 for row in range(rows + 2)],
    }
    assert plan(table(columns, eval_rows=2), "y").ignored == {
        "one": "it is 1 in every row of the split to train on (other values are in eval)",
        "none": "it has no value in any row of the split to train on (other values are in eval)",
        "always": "it is 1 in every row",
    }


@pytest.mark.slow
def test_transform_tells_large_integers_apart(table: Tables) -> None:
    """As a number, as a category, and as the classes of a label."""
    rows = 120
    columns = {
        "number": [BIG + row % 2 for row in range(rows)],
        "category": [-BIG - row % 2 for row in range(rows)],
        "y": [2**62 + row // 3 % 2 for row in range(rows)],
    }
    made = table(columns).transform({"label": "y", "features": {"category": {"kind": "categorical"}}}).transformed()
    odd = np.arange(rows) % 2
    assert (made["number_xf"][:, 0] == odd).all()
    assert sorted(set(made["category_xf"][:, 0].tolist())) == [1, 2]
    assert (
        len({(id_, parity) for id_, parity in zip(made["category_xf"][:, 0].tolist(), odd.tolist(), strict=True)}) == 2
    )
    assert made["y_xf"][:, 0].tolist() == [row // 3 % 2 for row in range(rows)]

"""How well one column alone tells the label: what gives it away is found, and what only helps is not."""

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from penstock.core.statistics import leaks
from penstock.core.statistics.leaks import Values

ROWS = 4000
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=ROWS)
NONE = np.zeros(ROWS, bool)
TWO = (NOISE > 0).astype(float)
THREE = np.digitize(NOISE, [-0.5, 0.5]).astype(float)
RARE = (NOISE > 2.2).astype(float)  # 1.4 % of the rows
AMOUNT = np.exp(NOISE)
OTHER = RNG.normal(size=ROWS)


def ids(values: npt.ArrayLike) -> Values:
    codes = np.unique(np.asarray(values), return_inverse=True)[1]
    return Values.of_ids(1 + codes, NONE)


def numbers(values: npt.NDArray[np.float64], missing: npt.NDArray[np.bool_] = NONE) -> Values:
    return Values.of_numbers(np.where(missing, 0, values), missing)


@pytest.mark.parametrize(
    ("values", "target", "problem", "phrase"),
    [
        (numbers(NOISE), TWO, "binary", "(AUC 1 on other rows; chance has 0.5)"),
        (numbers(-NOISE), TWO, "binary", "(AUC 1 on other rows; chance has 0.5)"),
        (numbers(NOISE**2 * np.sign(NOISE) + 0.02 * OTHER), TWO, "binary", "(AUC 0.99"),
        (ids(np.where(TWO > 0, "yes", "no")), TWO, "binary", "(AUC 1 on other rows"),
        (ids([f"{int(two)}{row % 100}" for row, two in enumerate(TWO)]), TWO, "binary", "(AUC 1 on other rows"),
        (numbers(NOISE), RARE, "binary", "(AUC 1 on other rows"),
        (numbers(NOISE), THREE, "multiclass", "(right in 99."),
        (ids(THREE), THREE, "multiclass", "(right in 100% of other rows; always the most frequent class in"),
        (ids(NOISE > 2.2), RARE, "multiclass", "(right in 100% of other rows; always the most frequent class in 98"),
        (numbers(AMOUNT * 1.19), AMOUNT, "regression", "(R² 1 on other rows; always the mean has 0)"),
        (numbers(np.sqrt(AMOUNT)), AMOUNT, "regression", "(R² 1 on other rows"),
        (numbers(np.abs(AMOUNT - 0.1)), np.abs(AMOUNT - 0.1) ** 2, "regression", "(R² 1 on other rows"),
        (ids(THREE), THREE * 10 + 0.1 * OTHER, "regression", "(R² 1 on other rows"),
        (numbers(OTHER, TWO > 0), TWO, "binary", "by whether it has a value (AUC 1 on other rows; chance has 0.5)"),
        (ids([""] * ROWS), TWO, "binary", ""),
        (numbers(OTHER), TWO, "binary", ""),
        (numbers(NOISE + OTHER), TWO, "binary", ""),
        (numbers(NOISE + OTHER), RARE, "multiclass", ""),  # 98.6 % of the rows are right without it
        (ids(RNG.integers(0, 1000, ROWS)), TWO, "binary", ""),
        (ids(np.arange(ROWS)), THREE, "multiclass", ""),
        (numbers(AMOUNT + OTHER), AMOUNT, "regression", ""),
        (numbers(OTHER, RNG.random(ROWS) < 0.3), AMOUNT, "regression", ""),
    ],
)
def test_what_gives_the_label_away(
    values: Values, target: npt.NDArray[np.float64], problem: leaks.Problem, phrase: str
) -> None:
    told = leaks.find(values, target, problem)
    assert told.startswith(phrase) if phrase else not told


def test_the_figures_are_those_of_scikit_learn() -> None:
    """Of a number that is coarser than its groups, so that these tell all that it does."""
    values = np.clip(np.round(NOISE + 0.3 * OTHER), -2, 2)
    groups = Values.of_numbers(values, NONE).groups
    for target, problem in ((TWO, "binary"), (AMOUNT, "regression")):
        learn, test = leaks._halves(ROWS)
        means = np.array([target[learn & (groups == group)].mean() for group in groups[test]])
        whole = leaks.score(Values(groups, NONE), target, "binary" if problem == "binary" else "regression")
        expected = roc_auc_score(target[test], means) if problem == "binary" else r2_score(target[test], means)
        assert whole is not None
        assert float(whole.text.split()[1]) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("rows", [0, 1, 49])
def test_of_few_rows_nothing_is_said(rows: int) -> None:
    few = Values.of_numbers(NOISE[:rows], NONE[:rows])
    assert leaks.find(few, TWO[:rows], "binary") == ""


def test_of_a_rare_class_nothing_is_said_by_chance() -> None:
    target = np.zeros(ROWS)
    target[[7, 1001]] = 1
    assert leaks.find(numbers(np.arange(ROWS, dtype=float)), target, "binary") == ""
    assert leaks.find(ids(target), target, "binary") == ""

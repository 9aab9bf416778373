"""Folds: scikit-learn's properties on real rows, and the sentence for too few of them."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedKFold, TimeSeriesSplit

from penstock.core.errors import DataError
from penstock.trainer.tuning import folds


@pytest.fixture(scope="module")
def penguins(penguins_csv: Path) -> pd.DataFrame:
    return pd.read_csv(penguins_csv)


def evaluated(made: list[folds.Fold]) -> list[int]:
    return sorted(np.concatenate([evaluate for _, evaluate in made]).tolist())


def test_k_fold_evaluates_every_row_once() -> None:
    made = folds.k_fold(23, 5, seed=1)
    assert evaluated(made) == list(range(23))
    assert [len(evaluate) for _, evaluate in made] == [5, 5, 5, 4, 4]
    assert all(sorted([*train, *evaluate]) == list(range(23)) for train, evaluate in made)
    same, other = folds.k_fold(23, 5, seed=1), folds.k_fold(23, 5, seed=2)
    assert [evaluate.tolist() for _, evaluate in same] == [evaluate.tolist() for _, evaluate in made]
    assert [evaluate.tolist() for _, evaluate in other] != [evaluate.tolist() for _, evaluate in made]


def test_stratified_shares_are_scikit_learns(penguins: pd.DataFrame) -> None:
    species = penguins["species"].to_numpy()
    made = folds.stratified(species, 5, seed=1)
    assert evaluated(made) == list(range(344))
    theirs = [evaluate for _, evaluate in StratifiedKFold(5, shuffle=True, random_state=1).split(species, species)]
    for name in set(species):
        ours = sorted(int((species[evaluate] == name).sum()) for _, evaluate in made)
        assert ours == sorted(int((species[evaluate] == name).sum()) for evaluate in theirs)


def test_a_group_stays_together(penguins: pd.DataFrame) -> None:
    groups = (penguins["island"] + penguins["year"].astype(str)).to_numpy()
    made = folds.group(groups, 3, seed=1)
    assert evaluated(made) == list(range(344))
    for train, evaluate in made:
        assert not set(groups[train]) & set(groups[evaluate])
        assert 90 < len(evaluate) < 140  # 344 / 3 is 115


def test_time_goes_forward() -> None:
    moments = np.repeat(np.arange(40), 5)
    shuffled = np.random.default_rng(1).permutation(len(moments))
    made = folds.time_series(moments[shuffled], 4)
    for train, evaluate in made:
        assert moments[shuffled][train].max() < moments[shuffled][evaluate].min()
    theirs = list(TimeSeriesSplit(4).split(moments))
    assert [len(train) for train, _ in made] == [len(train) for train, _ in theirs]
    assert [len(evaluate) for _, evaluate in made] == [len(evaluate) for _, evaluate in theirs]


@pytest.mark.parametrize(
    "moments", [[2007] * 100 + [2008, 2009], [2007, 2008] + [2009] * 100, [1, 2, 3], [5, 5, 1, 9, 9, 9, 9]]
)
def test_stretches_of_time_are_never_empty(moments: list[int]) -> None:
    made = folds.time_series(moments, 2)
    assert all(len(train) and len(evaluate) for train, evaluate in made)
    times = np.array(moments)
    for (train, evaluate), (later, _) in pairwise(made):
        assert sorted([*train, *evaluate]) == sorted(later)
        assert times[train].max() < times[evaluate].min()


def test_strings_are_moments_too() -> None:
    made = folds.time_series(["2013-02", "2013-01", "2013-03", "2013-01"], 2)
    assert [(train.tolist(), evaluate.tolist()) for train, evaluate in made] == [([1, 3], [0]), ([0, 1, 3], [2])]


def test_too_few_rows_are_told(penguins: pd.DataFrame) -> None:
    told = {
        "at least 5 rows, one for each fold, found 4": lambda: folds.k_fold(4, 5, 1),
        "at least 5 rows of class 'b', one for each fold, found 2": lambda: folds.stratified([*"aaaaaabb"], 5, 1),
        "at least 70 rows of class 'Chinstrap', one for each fold, found 68": lambda: folds.stratified(
            penguins["species"].to_numpy(), 70, 1
        ),
        "at least 4 groups, one for each fold, found 3": lambda: folds.group(penguins["island"].to_numpy(), 4, 1),
        "at least 4 moments, 3 folds of a time series need one more, found 3": lambda: folds.time_series(
            penguins["year"].to_numpy(), 3
        ),
    }
    for sentence, make in told.items():
        with pytest.raises(DataError, match=re.escape(f"cross_validation: expected {sentence}: lower ")):
            make()

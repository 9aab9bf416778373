"""A classifier two-sample test of windows (Lopez-Paz and Oquab 2017): can trees tell them from the training data?

The score is the AUC of rows that the trees have not learnt from, as a part of what chance exceeds in one of twenty
windows. It takes a good second of processor time for few windows, so only some are judged.
"""

import functools
from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from windows import UNSHIFTED, Case

KINDS = (UNSHIFTED, "correlation")  # of cases that are judged
MOST = 20  # windows of a case
_TRAINING = 2000  # rows
_ONE_SIDED = 1.645  # standard deviations


def judge(cases: Iterable[Case]) -> dict[str, dict[str, list[float]]]:
    """Returns scores of the first windows of some cases, by the case's key: what exceeds 1 alerts."""
    return {case.key: _judge(case) if case.shift.startswith(KINDS) else {} for case in cases}


def _judge(case: Case) -> dict[str, list[float]]:
    training, windows = _training(case.reference), pd.read_parquet(case.file)
    known = {name: training[name].value_counts().index for name in case.categories}
    rows = _numbers(training.iloc[:_TRAINING], known)
    count = min(MOST, case.windows)
    cut = (windows.iloc[index * case.rows : (index + 1) * case.rows] for index in range(count))
    return {"classifier": [_score(rows, _numbers(window, known)) for window in cut]}


@functools.lru_cache(maxsize=1)
def _training(file: str) -> pd.DataFrame:
    return pd.read_parquet(file)


def _numbers(rows: pd.DataFrame, known: dict[str, pd.Index]) -> np.ndarray:
    codes = {name: pd.Categorical(rows[name], categories=values).codes for name, values in known.items()}
    return rows.assign(**codes).to_numpy(np.float64, na_value=np.nan)


def _score(training: np.ndarray, window: np.ndarray) -> float:
    rows = np.concatenate([training, window[:_TRAINING]])
    labels = np.repeat([0, 1], [len(training), len(rows) - len(training)])
    half = np.random.default_rng(1).permutation(len(rows)) % 2
    areas, variance = [], 0.0
    for fold in (0, 1):
        trees = HistGradientBoostingClassifier(max_iter=40, learning_rate=0.1, random_state=1, early_stopping=False)
        trees.fit(rows[half != fold], labels[half != fold])
        asked = labels[half == fold]
        areas.append(roc_auc_score(asked, trees.predict_proba(rows[half == fold])[:, 1]))
        variance += (len(asked) + 1) / (12 * asked.sum() * (len(asked) - asked.sum())) / 4
    return max(0.0, float(np.mean(areas) - 0.5) / (_ONE_SIDED * float(np.sqrt(variance))))

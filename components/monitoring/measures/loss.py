"""What a regression's loss is in a window without labels: learnt of rows whose labels are known (direct estimation).

A row's loss is what rows with such a prediction and such features had in the evaluation split, by gradient boosted
trees. It holds as long as labels depend on the features as they did there.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import threadpoolctl  # type: ignore[import-untyped]

from penstock.components.monitoring.measures import counts
from penstock.components.monitoring.measures.bins import FeatureBins
from penstock.components.monitoring.measures.distances import Array
from penstock.components.monitoring.measures.performance import TWO_SIDED, Estimate

_FOLDS = 5
# Chosen on tables that benchmarks/monitoring names. Few features for each split, and slowly, since losses are noisy.
_SETTINGS = {"learning_rate": 0.05, "max_iter": 100, "max_leaf_nodes": 31, "min_samples_leaf": 10, "max_features": 0.4}


class _Trees(Protocol):
    def predict(self, columns: Array) -> Array: ...


@dataclass(frozen=True)
class LossEstimator:
    """Estimates the mean loss of windows. Made once, from the evaluation split.

    Args:
        bins: The features that tell of the loss.
        learnt: Trees, each of other rows.
        correction: By how much trees say too little of rows that they have not learnt from, on average.
        variance: Of such a row's loss around what they say.
        rows: How many rows all of them have learnt from.
    """

    bins: Mapping[str, FeatureBins]
    learnt: Sequence[_Trees]
    correction: float
    variance: float
    rows: int

    @classmethod
    def of(
        cls, bins: Mapping[str, FeatureBins], rows: pa.RecordBatch, predictions: Array, losses: Array, seed: int = 0
    ) -> "LossEstimator":
        """Learns from rows, what the model predicted of them, and the loss of each, such as its absolute error."""
        columns = _columns(bins, rows, predictions)
        folds = np.random.default_rng(seed).permutation(len(losses)) % _FOLDS
        left = np.array(losses, np.float64)
        with _one_thread():
            learnt = [_fitted(columns[folds != fold], losses[folds != fold], seed) for fold in range(_FOLDS)]
            for fold, trees in enumerate(learnt):
                left[folds == fold] -= trees.predict(columns[folds == fold])
        return cls(bins, learnt, float(left.mean()), float(left.var()), len(losses))

    def estimate(self, rows: pa.RecordBatch, predictions: Array) -> Estimate:
        """Returns the mean loss of a window's rows, of which there is one at least."""
        columns = _columns(self.bins, rows, predictions)
        with _one_thread():
            means = np.array([trees.predict(columns).mean() for trees in self.learnt])
        value = max(0.0, float(means.mean()) + self.correction)
        variance = self.variance * (1 / rows.num_rows + 1 / self.rows) + float(means.var())
        width = TWO_SIDED * float(np.sqrt(variance))
        return Estimate(value, max(0.0, value - width), value + width)


def _fitted(columns: Array, losses: Array, seed: int) -> _Trees:
    # Only windows of a regression pay for the import.
    from sklearn.ensemble import HistGradientBoostingRegressor  # type: ignore[import-untyped]

    trees = HistGradientBoostingRegressor(**_SETTINGS, early_stopping=False, random_state=seed)
    fitted: _Trees = trees.fit(columns, losses)
    return fitted


def _one_thread() -> AbstractContextManager[object]:
    """More are no help with so few rows, and where others work they wait for each other."""
    limits: AbstractContextManager[object] = threadpoolctl.threadpool_limits(1, user_api="openmp")
    return limits


def _columns(bins: Mapping[str, FeatureBins], rows: pa.RecordBatch, predictions: Array) -> Array:
    """Returns for each row the bin of each feature, NaN where it is missing, and the prediction."""
    features = counts.row_bins(bins, rows).astype(np.float64) if bins else np.zeros((rows.num_rows, 0))
    features[features < 0] = np.nan
    return np.column_stack([features, np.asarray(predictions, np.float64)])

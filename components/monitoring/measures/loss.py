"""What a regression's loss is in a window without labels: learnt of rows whose labels are known (direct estimation).

A row's loss is what rows with such a prediction and such features had in the evaluation split: a ridge regression on
their groups. It holds as long as labels depend on the features as they did there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.components.monitoring.measures import counts
from penstock.components.monitoring.measures.bins import GROUPS, FeatureBins
from penstock.components.monitoring.measures.distances import Array
from penstock.components.monitoring.measures.performance import Estimate

_PREDICTIONS = 24  # groups of predictions, with as many rows each
_PENALTY = 100.0  # rows, by which a group's loss is held to the mean
_TWO_SIDED = 1.96  # standard deviations, of a 95 % interval


@dataclass(frozen=True)
class LossEstimator:
    """Estimates the mean loss of windows. Made once, from the evaluation split.

    Args:
        bins: The features that tell of the loss.
        edges: Between the groups of predictions.
        weights: Of the groups.
        covariance: Of the weights.
        variance: Of a row's loss around its estimate.
    """

    bins: Mapping[str, FeatureBins]
    edges: Array
    weights: Array
    covariance: Array
    variance: float

    @classmethod
    def of(
        cls, bins: Mapping[str, FeatureBins], rows: pa.RecordBatch, predictions: Array, losses: Array
    ) -> "LossEstimator":
        """Learns from rows, what the model predicted of them, and the loss of each, such as its absolute error."""
        edges = np.quantile(predictions, np.arange(1, _PREDICTIONS) / _PREDICTIONS)
        columns = _columns(bins, edges, rows, predictions)
        penalty = np.full(columns.shape[1], _PENALTY)
        penalty[0] = 1e-9
        inverse = np.linalg.inv(columns.T @ columns + np.diag(penalty))
        weights = inverse @ (columns.T @ losses)
        variance = float(np.mean((losses - columns @ weights) ** 2))
        return cls(bins, edges, weights, variance * inverse, variance)

    def estimate(self, rows: pa.RecordBatch, predictions: Array) -> Estimate:
        """Returns the mean loss of a window's rows, of which there is one at least."""
        mean = _columns(self.bins, self.edges, rows, predictions).mean(axis=0)
        value = max(0.0, float(mean @ self.weights))
        width = _TWO_SIDED * float(np.sqrt(self.variance / rows.num_rows + mean @ self.covariance @ mean))
        return Estimate(value, max(0.0, value - width), value + width)


def _columns(bins: Mapping[str, FeatureBins], edges: Array, rows: pa.RecordBatch, predictions: Array) -> Array:
    """Returns a column of ones, and one for each group, 1 in its rows."""
    groups = counts.row_groups(bins, rows) if bins else np.zeros((rows.num_rows, 0), np.int64)
    predicted: npt.NDArray[np.int64] = np.searchsorted(edges, predictions, side="right")
    parts = [np.ones((rows.num_rows, 1)), predicted[:, None] == np.arange(_PREDICTIONS)]
    parts += [groups[:, place, None] == np.arange(GROUPS) for place in range(groups.shape[1])]
    return np.concatenate(parts, axis=1).astype(np.float64)

"""What the plots of a slice are drawn from: histograms of predictions, a confusion matrix, residuals.

They are accumulated beside the metrics, over the same batches, in fine buckets, of which `plot` makes few.
"""

from abc import abstractmethod
from typing import Self

import numpy as np
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.defaults.target import Target
from penstock.components.evaluator.eval_config import candidate, candidate_name
from penstock.components.evaluator.metrics.batch import Accumulator, Batch
from penstock.components.evaluator.metrics.comparison import Block, Comparison, one_hot
from penstock.components.evaluator.metrics.sums import BucketSums
from penstock.core.artifacts.evaluation_summary import BinaryPlot, MulticlassPlot, Plot, RegressionPlot

MOST_CLASSES = 100  # of a confusion matrix
_FINE = 10_000  # buckets of probabilities while they are added up
_COARSE = 200  # buckets of a plot: a curve has a point for each
_RESIDUALS = 60
_CALIBRATED = 20
_BEYOND = 0.005  # the share of the residuals, on each side, that is beyond the edges
_MANTISSA = 12  # bits of a number that tell its bucket: numbers in one differ by less than 1 in 4,096
_ORDERED = 1 << (9 + _MANTISSA)  # buckets of numbers


class Histograms(Accumulator):
    """What a plot of each slice is made of."""

    @abstractmethod
    def plot(self, code: int) -> Plot | None:
        """Returns the plot of the slice with this code; None if nothing can be drawn of it."""


def histograms(config: EvalConfig, target: Target) -> Histograms | None:
    """Returns what accumulates the plots of the candidate; None for a problem or a number of classes that has none."""
    name, weighted = candidate_name(config), bool(candidate(config).example_weight_key)
    if target.problem == "binary":
        return BinaryHistograms(Comparison(name, weighted=weighted))
    if target.problem == "multiclass" and len(target.classes) <= MOST_CLASSES:
        return ConfusionMatrices(Comparison(name, weighted=weighted, flat=False), len(target.classes))
    if target.problem == "regression":
        return RegressionHistograms(Comparison(name, weighted=weighted))
    return None


class BinaryHistograms(Histograms):
    """Weights of the positive and of the negative examples by their predicted probability."""

    def __init__(self, compared: Comparison):
        self._compared, self._sums = compared, BucketSums(_FINE, 3)
        self._are_probabilities = True

    def add(self, batch: Batch) -> None:
        for block in batch.blocks(self._compared):
            positions, codes = batch.memberships.expand(block.rows)
            labels, predictions, weights = (np.asarray(part, np.float64) for part in block[1:])
            self._are_probabilities &= bool(np.all((predictions >= 0) & (predictions <= 1)))
            buckets = np.clip(np.nan_to_num(predictions) * _FINE, 0, _FINE - 1).astype(np.int64)
            values = np.stack([weights * labels, weights * (1 - labels), weights * predictions], axis=1)
            self._sums.add(codes, buckets[positions], values[positions])

    def merge(self, other: Self, codes: np.ndarray) -> None:
        self._are_probabilities &= other._are_probabilities
        self._sums.merge(other._sums, codes)

    def plot(self, code: int) -> BinaryPlot | None:
        buckets, values = self._sums.of(code)
        if not len(buckets) or not self._are_probabilities:
            return None
        edges = _edges(buckets, values[:, 0] + values[:, 1])
        positive, negative, predictions = (column.tolist() for column in _totals(buckets, values, edges).round(6))
        return BinaryPlot(
            kind="binary",
            edges=(edges / _FINE).tolist(),
            positive=positive,
            negative=negative,
            predictions=predictions,
        )


class ConfusionMatrices(Histograms):
    """Weights of the examples by their class and the class that has the greatest prediction."""

    def __init__(self, compared: Comparison, classes: int):
        self._compared, self._classes = compared, classes
        self._sums = BucketSums(classes * classes, 1)

    def add(self, batch: Batch) -> None:
        for block in batch.blocks(self._compared):
            if block.predictions.shape[1] == self._classes:
                self._add(batch, block)

    def _add(self, batch: Batch, block: Block) -> None:
        dense = block.labels if block.labels.shape[1] == self._classes else one_hot(block.labels, self._classes)
        if dense is None:
            return
        known = np.flatnonzero(dense.any(axis=1))
        positions, codes = batch.memberships.expand(block.rows[known])
        cells = dense[known].argmax(axis=1) * self._classes + block.predictions[known].argmax(axis=1)
        self._sums.add(codes, cells[positions], block.weights[known][positions, None])

    def merge(self, other: Self, codes: np.ndarray) -> None:
        self._sums.merge(other._sums, codes)

    def plot(self, code: int) -> MulticlassPlot | None:
        cells, values = self._sums.of(code)
        if not len(cells):
            return None
        matrix = np.zeros(self._classes * self._classes)
        matrix[cells] = values[:, 0]
        return MulticlassPlot(kind="multiclass", confusion=matrix.reshape(self._classes, -1).tolist())


class RegressionHistograms(Histograms):
    """Weights of the examples by their residual and by their prediction."""

    def __init__(self, compared: Comparison):
        self._compared = compared
        self._residuals, self._predictions = BucketSums(_ORDERED, 2), BucketSums(_ORDERED, 3)

    def add(self, batch: Batch) -> None:
        for block in batch.blocks(self._compared):
            labels, predictions, weights = (np.asarray(part, np.float64) for part in block[1:])
            finite = np.flatnonzero(np.isfinite(labels) & np.isfinite(predictions))
            labels, predictions, weights = labels[finite], predictions[finite], weights[finite]
            positions, codes = batch.memberships.expand(block.rows[finite])
            residuals = labels - predictions
            sums = np.stack([weights, weights * residuals], axis=1)
            self._residuals.add(codes, _ordered(residuals)[positions], sums[positions])
            sums = np.stack([weights, weights * predictions, weights * labels], axis=1)
            self._predictions.add(codes, _ordered(predictions)[positions], sums[positions])

    def merge(self, other: Self, codes: np.ndarray) -> None:
        self._residuals.merge(other._residuals, codes)
        self._predictions.merge(other._predictions, codes)

    def plot(self, code: int) -> RegressionPlot | None:
        # What weighs nothing has no mean.
        by_residual, by_prediction = (
            sums[sums[:, 0] != 0] for _, sums in (self._residuals.of(code), self._predictions.of(code))
        )
        if not len(by_residual) or by_residual[:, 0].sum() <= 0:
            return None
        residuals = by_residual[:, 1] / by_residual[:, 0]
        low, high = _quantiles(residuals, by_residual[:, 0], np.array([_BEYOND, 1 - _BEYOND]))
        residual_edges = np.linspace(low, high, _RESIDUALS + 1) if high > low else np.array([low - 0.5, low + 0.5])
        predictions = by_prediction[:, 1] / by_prediction[:, 0]
        edges = _quantiles(predictions, by_prediction[:, 0], np.linspace(0, 1, _CALIBRATED + 1))
        edges = np.unique(edges) if len(np.unique(edges)) > 1 else np.array([edges[0], edges[0]])
        weights, of_predictions, of_labels = _totals(predictions, by_prediction, edges)
        return RegressionPlot(
            kind="regression",
            residual_edges=residual_edges.tolist(),
            residuals=_totals(residuals, by_residual, residual_edges)[0].tolist(),
            edges=edges.tolist(),
            examples=weights.tolist(),
            mean_predictions=_means(of_predictions, weights),
            mean_labels=_means(of_labels, weights),
        )


def _ordered(numbers: np.ndarray) -> np.ndarray:
    """Returns the bucket of each number: its first bits as a 32-bit float, in the order of the numbers."""
    bits: np.ndarray = numbers.astype(np.float32).view(np.int32).astype(np.int64)
    ordered: np.ndarray = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    ordered = (ordered >> (23 - _MANTISSA)) + (_ORDERED >> 1)
    return ordered


def _edges(buckets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns edges among the fine buckets: some at equal distances, others at equal numbers of examples."""
    even = np.linspace(0, _FINE, _COARSE // 4 + 1).astype(np.int64)
    quantiles = _quantiles(buckets, weights, np.linspace(0, 1, _COARSE - len(even)))
    edges: np.ndarray = np.unique(np.concatenate([even, quantiles.astype(np.int64)]))
    return edges


def _quantiles(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Returns the values, which are sorted, below which these shares of the weights are."""
    totals = np.cumsum(weights)
    quantiles: np.ndarray = values[np.searchsorted(totals, shares * totals[-1]).clip(0, len(values) - 1)]
    return quantiles


def _totals(values: np.ndarray, sums: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Returns each of the sums by the bucket between edges that its value is in; the outer ones take what is beyond."""
    places: np.ndarray = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    totals: np.ndarray = np.array([np.bincount(places, column, minlength=len(edges) - 1) for column in sums.T])
    return totals


def _means(sums: np.ndarray, weights: np.ndarray) -> list[float | None]:
    pairs = zip(sums.tolist(), weights.tolist(), strict=True)
    return [total / weight if weight > 0 else None for total, weight in pairs]

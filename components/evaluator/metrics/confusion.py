"""Histograms of predictions and confusion matrices: what TFMA derives the metrics of classifiers from."""

import numpy as np
from tensorflow_model_analysis.contrib.aggregates.binary_confusion_matrices import Matrix, _ThresholdEntry
from tensorflow_model_analysis.metrics.metric_types import MetricKey, MetricsDict
from tensorflow_model_analysis.metrics.multi_class_confusion_matrix_metrics import (
    NO_PREDICTED_CLASS_ID,
    Matrices,
    MatrixEntryKey,
)

from penstock.components.evaluator.metrics import histograms
from penstock.components.evaluator.metrics.accumulators import Bucketed
from penstock.components.evaluator.metrics.comparison import Block, Comparison
from penstock.components.evaluator.metrics.sums import beside

histograms.patch()

_CLASSES = 1 << 15  # more than a model predicts


class Histogram(Bucketed):
    """Labels, predictions and weights in buckets of predictions of equal width: TFMA's calibration histogram."""

    def __init__(
        self, key: MetricKey, compared: Comparison, count: int, left: float, width: float, *, by_prediction: bool
    ):
        super().__init__(key, compared, count + 2, 3)
        self._count, self._left, self._width, self._by_prediction = count, left, width, by_prediction

    def bucketed(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        by = np.asarray(block.predictions if self._by_prediction else block.labels, np.float64)
        if np.isnan(by).any():
            raise ValueError(f"a {'prediction' if self._by_prediction else 'label'} is not a number (NaN)")
        place = (by - self._left) / self._width * self._count + 1
        buckets = np.clip(place, 0, self._count + 1).astype(np.int64)
        weights = block.weights
        return buckets[:, None], beside(block.labels * weights, block.predictions * weights, weights)

    def result(self, code: int) -> MetricsDict:
        buckets, sums = self._sums.of(code)
        return {self.key: histograms.Histogram(buckets, sums)}


class ThresholdMatrices(Bucketed):
    """Positives and negatives by how many thresholds their predictions exceed."""

    def __init__(self, key: MetricKey, compared: Comparison, thresholds: list[float]):
        self._thresholds = np.unique(thresholds)
        super().__init__(key, compared, 2 * (len(self._thresholds) + 1), 1)

    def bucketed(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        predictions = np.asarray(block.predictions, np.float64)
        exceeded = np.where(np.isnan(predictions), 0, np.searchsorted(self._thresholds, predictions))
        return (2 * exceeded + (block.labels == 1))[:, None], block.weights[:, None]

    def result(self, code: int) -> MetricsDict:
        buckets, sums = self._sums.of(code)
        table = np.zeros((len(self._thresholds) + 1, 2))
        table.flat[buckets] = sums[:, 0]
        below = np.cumsum(table, axis=0)[:-1]
        above = np.cumsum(table[::-1], axis=0)[::-1][1:]
        entries = {}
        for threshold, (tn, fn), (fp, tp) in zip(
            self._thresholds.tolist(), below.tolist(), above.tolist(), strict=True
        ):
            entries[threshold] = _ThresholdEntry(Matrix(tp=tp, tn=tn, fp=fp, fn=fn), [], [], [], [])
        return {self.key: entries}


class ClassMatrices(Bucketed):
    """The weights of examples by their class and the predicted one, which is none below a threshold."""

    def __init__(self, key: MetricKey, compared: Comparison, thresholds: list[float]):
        # TFMA compares with one threshold after the other, and what has failed one is not predicted for the next.
        self._thresholds, self._highest = thresholds, np.maximum.accumulate(thresholds)
        super().__init__(key, compared, len(thresholds) * _CLASSES * _CLASSES, 1)

    def bucketed(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        if block.labels.ndim != 2 or block.predictions.ndim != 2 or block.predictions.shape[1] < 2:
            raise ValueError(
                "expected a label and the predictions of several classes for a multi-class confusion matrix, received "
                f"the shapes {block.labels.shape[1:]} and {block.predictions.shape[1:]}"
            )
        sparse = block.labels.shape[1] == 1
        actual = block.labels[:, 0].astype(np.int64) if sparse else np.argmax(block.labels, axis=1)
        predicted = np.argmax(block.predictions, axis=1)
        if np.any((actual < NO_PREDICTED_CLASS_ID) | (actual >= _CLASSES - 1)):
            raise ValueError(f"expected classes from 0 to {_CLASSES - 2}, received {actual.min()} to {actual.max()}")
        scores = np.take_along_axis(block.predictions, predicted[:, None], axis=1)
        fails = scores <= self._highest  # [entries, thresholds]
        kept = np.where(fails, NO_PREDICTED_CLASS_ID, predicted[:, None])
        cells = (actual[:, None] + 1) * _CLASSES + kept + 1
        return cells + np.arange(len(self._thresholds)) * _CLASSES * _CLASSES, block.weights[:, None]

    def result(self, code: int) -> MetricsDict:
        buckets, sums = self._sums.of(code)
        matrices = Matrices()
        for bucket, weight in zip(buckets.tolist(), sums[:, 0].tolist(), strict=True):
            number, cell = divmod(bucket, _CLASSES * _CLASSES)
            actual, predicted = divmod(cell, _CLASSES)
            entries = matrices.setdefault(self._thresholds[number], {})
            entries[MatrixEntryKey(actual - 1, predicted - 1)] = weight
        return {self.key: matrices}

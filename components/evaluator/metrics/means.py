"""Metrics that are means over examples: labels and predictions, errors of a regression, cross entropies."""

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
from tensorflow_model_analysis.metrics.calibration import _WeightedLabelsPredictionsExamples
from tensorflow_model_analysis.metrics.metric_types import MetricKey, MetricsDict
from tensorflow_model_analysis.metrics.squared_pearson_correlation import (
    _SquaredPearsonCorrelationAccumulator,
    _SquaredPearsonCorrelationCombiner,
)

from penstock.components.evaluator.metrics import evidence
from penstock.components.evaluator.metrics.accumulators import Summed
from penstock.components.evaluator.metrics.comparison import Block, Comparison
from penstock.components.evaluator.metrics.evidence import Spread
from penstock.components.evaluator.metrics.sums import beside

type Error = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of labels and predictions, for each entry


class LabelsAndPredictions(Summed):
    """The sums of labels, predictions and weights: for Calibration, MeanLabel and MeanPrediction."""

    def __init__(self, key: MetricKey, compared: Comparison):
        super().__init__([key], compared, 3)

    def quantities(self, block: Block) -> np.ndarray:
        weights = block.weights
        return beside(block.labels * weights, block.predictions * weights, weights)

    def result(self, code: int) -> MetricsDict:
        total = _WeightedLabelsPredictionsExamples()
        labels, predictions, examples = self._sums.of(code).tolist()
        total.total_weighted_labels, total.total_weighted_predictions = labels, predictions
        total.total_weighted_examples = examples
        return {self.keys[0]: total}


class Mean(Summed):
    """The weighted mean of a value of each example."""

    def __init__(self, key: MetricKey, compared: Comparison):
        super().__init__([key], compared, 2 + evidence.MOMENTS)

    @abstractmethod
    def weighted(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Returns the weighted value of each entry, and its weight."""

    def quantities(self, block: Block) -> np.ndarray:
        values, weights = self.weighted(block)
        return beside(values, weights, *evidence.moments_of_examples(block.rows, values, weights))

    def spreads(self, code: int) -> dict[MetricKey, Spread]:
        if self._compared.aggregation is not None:  # which TFMA's key of such a mean does not say
            return {}
        value, weight, *moments = self._sums.of(code).tolist()
        spread = evidence.spread(value, weight, moments)
        return {self.keys[0]: spread} if spread else {}


class MeanError(Mean):
    """The weighted mean of the error of each pair of a label and a prediction; of which it is NaN, that does not count.

    The errors are computed in the type of the data, as TFMA does.
    """

    def __init__(self, key: MetricKey, compared: Comparison, error: Error):
        super().__init__(key, compared)
        self._error = error

    def weighted(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        errors = np.asarray(self._error(block.labels, block.predictions), np.float64)
        counted = ~np.isnan(errors)
        return np.where(counted, errors * block.weights, 0), np.where(counted, block.weights, 0)

    def result(self, code: int) -> MetricsDict:
        error, weight = self._sums.of(code)[:2].tolist()
        return {self.keys[0]: error / weight if weight else float("nan")}


def absolute_error(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    errors: np.ndarray = np.absolute(labels - predictions)
    return errors


def squared_error(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    difference = labels - predictions
    errors: np.ndarray = np.sqrt(difference * difference).astype(np.float64) ** 2  # TFMA's: the square of a norm
    return errors


def percentage_error(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        errors: np.ndarray = np.where(labels == 0, np.nan, 100 * np.absolute((labels - predictions) / labels))
    return errors


def logarithmic_error(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return squared_error(np.log(labels + 1), np.log(predictions + 1))


class SquaredCorrelation(Summed):
    """The square of Pearson's correlation of labels and predictions."""

    def __init__(self, key: MetricKey, compared: Comparison):
        super().__init__([key], compared, 6)

    def quantities(self, block: Block) -> np.ndarray:
        labels, predictions, weights = (np.asarray(part, np.float64) for part in block[1:])
        products = (labels, predictions, labels**2, predictions**2, labels * predictions, np.ones(len(labels)))
        return beside(*(weights * product for product in products))

    def result(self, code: int) -> MetricsDict:
        total = _SquaredPearsonCorrelationAccumulator()
        total.total_weighted_labels, total.total_weighted_predictions = self._sums.of(code)[:2]
        total.total_weighted_squared_labels, total.total_weighted_squared_predictions = self._sums.of(code)[2:4]
        total.total_weighted_labels_times_predictions, total.total_weighted_examples = self._sums.of(code)[4:]
        combiner = _SquaredPearsonCorrelationCombiner(self.keys[0], None, None, None, False)
        result: MetricsDict = combiner.extract_output(total)
        return result


class ClassShares(Summed):
    """The weight of each of some classes among the labels, as shares of one: for weighted macro averages."""

    def __init__(self, key: MetricKey, compared: Comparison, classes: list[int]):
        super().__init__([key], compared, len(classes))
        self._classes = classes

    def quantities(self, block: Block) -> np.ndarray:
        labels = block.labels
        if labels.shape[1] == 1:
            of_classes = (labels == np.array(self._classes)).astype(np.float64)
        elif max(self._classes) < labels.shape[1]:
            of_classes = np.asarray(labels[:, self._classes], np.float64)
        else:
            raise ValueError(f"class {max(self._classes)} is averaged, but a label has {labels.shape[1]} classes")
        weighted: np.ndarray = of_classes * block.weights[:, None]
        return weighted

    def result(self, code: int) -> MetricsDict:
        sums = self._sums.of(code)
        total = sums.sum()
        shares = (sums / total if total else np.zeros(len(sums))).tolist()
        return {self.keys[0]: dict(zip(self._classes, shares, strict=True))}


class CrossEntropy(Mean):
    """The weighted mean of the cross entropy of each example's labels and predictions."""

    def __init__(self, key: MetricKey, compared: Comparison, entropy: Error):
        super().__init__(key, compared)
        self._entropy = entropy

    def weighted(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        if block.weights.ndim > 1:
            raise ValueError("expected one weight for each example")
        with np.errstate(divide="ignore", invalid="ignore"):
            entropies = self._entropy(block.labels, block.predictions)
        return entropies * block.weights, block.weights

    def result(self, code: int) -> MetricsDict:
        entropy, weight = self._sums.of(code)[:2]
        with np.errstate(divide="ignore", invalid="ignore"):
            return {self.keys[0]: np.divide(entropy, weight)}


class BinaryCrossEntropy:
    """TFMA's BinaryCrossEntropy of examples; of several values of one, their mean."""

    def __init__(self, from_logits: bool, smoothing: float):
        self._from_logits, self._smoothing = from_logits, smoothing

    def __call__(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        labels = labels * (1.0 - self._smoothing) + 0.5 * self._smoothing
        if self._from_logits:
            magnitude = np.log(1 + np.exp(-np.abs(predictions)))
            entropy = np.maximum(predictions, 0) - predictions * labels + magnitude
        else:
            entropy = -labels * np.log(predictions) - (1 - labels) * np.log(1 - predictions)
        mean: np.ndarray = np.mean(entropy.reshape(len(entropy), -1), axis=1)
        return mean


class CategoricalCrossEntropy:
    """TFMA's CategoricalCrossEntropy of examples; a class that was predicted with 0 counts nothing."""

    def __init__(self, from_logits: bool, smoothing: float):
        self._from_logits, self._smoothing = from_logits, smoothing

    def __call__(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        labels = labels * (1.0 - self._smoothing) + self._smoothing / predictions.shape[1]
        if self._from_logits:
            predictions = np.exp(predictions)
        logarithms = np.log(predictions / np.sum(predictions, axis=1, keepdims=True))
        products = labels * np.where(np.isfinite(logarithms), logarithms, 0)
        total: np.ndarray = -np.sum(products, axis=1)
        return total

"""What a classifier's metrics are in a window without labels, from how sure it is (confidence-based estimation).

It holds as long as a score means what it meant in the evaluation split. Where that has changed, only labels tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from penstock.components.monitoring.measures import calibration
from penstock.components.monitoring.measures.calibration import Calibration
from penstock.components.monitoring.measures.distances import Array

_DRAWS = 200  # of labels
_RESAMPLES = 20  # of the evaluation split
_BINS = 1000  # of scores, when labels are drawn
_TWO_SIDED = 1.96  # standard deviations, of a 95 % interval
# How much of `excess` is taken off. Of an AUC it is what the calibration has learnt by heart; of an accuracy, half of
# it is chance (benchmarks/monitoring).
_CORRECTED = {"auc": 1.0, "accuracy": 0.5}


@dataclass(frozen=True)
class Estimate:
    """An estimated metric, and between which values the realised one lies in 95 of 100 windows."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimator:
    """Estimates the metrics of windows. Made once, from rows whose labels are known: the evaluation split.

    Args:
        learnt: What probability a score has.
        resampled: The same from other rows of the same source, as the bootstrap draws them.
        excess: By how much each metric of the evaluation split itself is estimated too high.
        threshold: From which score on a binary classifier says that a row is positive.
    """

    learnt: Calibration
    resampled: Sequence[Calibration]
    excess: Mapping[str, float]
    threshold: float
    seed: int

    @classmethod
    def binary(cls, scores: Array, labels: Array, threshold: float = 0.5, seed: int = 0) -> "Estimator":
        """Learns from the scores of the positive class and the labels (0 or 1).

        It estimates `accuracy`, and `auc` if there are labels of both classes.
        """
        realised = auc(scores, labels)
        return cls._of(scores, labels, threshold, seed, {"auc": realised} if np.isfinite(realised) else {})

    @classmethod
    def multiclass(cls, confidence: Array, correct: Array, seed: int = 0) -> "Estimator":
        """Learns from the probability of the class that is named, and whether it was right. It estimates `accuracy`."""
        return cls._of(confidence, correct, 0.0, seed, {})

    @classmethod
    def _of(
        cls, scores: Array, labels: Array, threshold: float, seed: int, realised: Mapping[str, float]
    ) -> "Estimator":
        scores, labels = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
        generator, learnt = np.random.default_rng(seed), calibration.fit(scores, labels)
        drawn = (generator.integers(0, len(scores), len(scores)) for _ in range(_RESAMPLES))
        resampled = [calibration.fit(scores[rows], labels[rows]) for rows in drawn]
        known = {**realised, "accuracy": float(((scores >= threshold) == (labels > 0)).mean())}
        estimated = _metrics(scores, learnt.of(scores), threshold)
        excess = {name: estimated[name] - value for name, value in known.items()}
        return cls(learnt, resampled, excess, threshold, seed)

    def estimate(self, scores: Array) -> dict[str, Estimate]:
        """Returns the metrics of rows with these scores, of which there is one at least.

        The interval adds up how labels fall by chance, and how the calibration would differ with other rows.
        """
        scores = np.asarray(scores, np.float64)
        probabilities = self.learnt.of(scores)
        values = _metrics(scores, probabilities, self.threshold)
        others = [_metrics(scores, one.of(scores), self.threshold) for one in self.resampled]
        drawn = _drawn(scores, probabilities, self.threshold, np.random.default_rng(self.seed))
        result = {}
        for name, excess in self.excess.items():
            value = min(1.0, values[name] - _CORRECTED[name] * excess)
            variance = np.nanvar(drawn[name]) + np.nanvar([one[name] for one in others])
            width = _TWO_SIDED * float(np.sqrt(variance))
            result[name] = Estimate(value, max(0.0, value - width), min(1.0, value + width))
        return result


def _metrics(scores: Array, probabilities: Array, threshold: float) -> dict[str, float]:
    correct = np.where(scores >= threshold, probabilities, 1 - probabilities)
    return {"auc": auc(scores, probabilities), "accuracy": float(correct.mean())}


def auc(scores: Array, probabilities: Array) -> float:
    """Returns the AUC of scores of rows that are positive with these probabilities; NaN if all are of one class."""
    different, places = np.unique(scores, return_inverse=True)
    positive = np.bincount(places, probabilities, len(different))
    negative = np.bincount(places, 1 - np.asarray(probabilities), len(different))
    return float(_area(positive[None], negative[None])[0])


def _area(positive: Array, negative: Array) -> Array:
    """Returns the areas of weights at rising scores; those at the same score count half."""
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(1) * negative.sum(1)
    return np.asarray(np.where(pairs > 0, (positive * below).sum(1) / np.where(pairs > 0, pairs, 1), np.nan))


def _drawn(scores: Array, probabilities: Array, threshold: float, generator: np.random.Generator) -> dict[str, Array]:
    """Draws labels, and returns the metrics with them."""
    order = np.argsort(scores, kind="stable")
    starts = np.unique(np.linspace(0, len(scores), min(_BINS, len(scores)) + 1).astype(np.int64)[:-1])
    rows: npt.NDArray[np.int64] = np.diff(np.append(starts, len(scores)))
    means = np.add.reduceat(probabilities[order], starts) / rows
    positive = generator.binomial(rows, np.clip(means, 0, 1), (_DRAWS, len(rows))).astype(np.float64)
    says = np.add.reduceat(scores[order] >= threshold, starts) / rows
    correct = (positive * says + (rows - positive) * (1 - says)).sum(1) / len(scores)
    return {"auc": _area(positive, rows - positive), "accuracy": correct}

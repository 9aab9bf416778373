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
_FOLDS = 10  # of the evaluation split
_BINS = 1000  # of scores, when labels are drawn
TWO_SIDED = 1.96  # standard deviations, of a 95 % interval


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
        learnt: What probability a score has: learnt of all rows but those of a fold, for each fold.
        excess: By how much each metric is estimated too high of rows that were not learnt from, as far as that is more
            than chance.
        chance: The variance of each metric of as many rows as were learnt from, by how their labels fall.
        threshold: From which score on a binary classifier says that a row is positive.
    """

    learnt: Sequence[Calibration]
    excess: Mapping[str, float]
    chance: Mapping[str, float]
    threshold: float
    seed: int

    @classmethod
    def binary(cls, scores: Array, labels: Array, threshold: float = 0.5, seed: int = 0) -> "Estimator":
        """Learns from the scores of the positive class and the labels (0 or 1).

        It estimates `accuracy`, and `auc` if there are labels of both classes.
        """
        both = 0 < np.asarray(labels).sum() < len(labels)
        return cls._of(scores, labels, threshold, seed, ["auc", "accuracy"] if both else ["accuracy"])

    @classmethod
    def multiclass(cls, confidence: Array, correct: Array, seed: int = 0) -> "Estimator":
        """Learns from the probability of the class that is named, and whether it was right. It estimates `accuracy`."""
        return cls._of(confidence, correct, 0.0, seed, ["accuracy"])

    @classmethod
    def _of(cls, scores: Array, labels: Array, threshold: float, seed: int, names: Sequence[str]) -> "Estimator":
        scores, labels = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
        folds = _folds(labels, np.random.default_rng(seed))
        learnt = [calibration.fit(scores[folds != fold], labels[folds != fold]) for fold in range(_FOLDS)]
        unseen: Array = np.empty(len(scores))
        for fold, one in enumerate(learnt):
            unseen[folds == fold] = one.of(scores[folds == fold])
        estimated = _metrics(scores, unseen, threshold)
        realised = _metrics(scores, labels, threshold)
        drawn = _drawn(scores, unseen, threshold, np.random.default_rng(seed))
        chance = {name: float(np.nanvar(drawn[name])) for name in names}
        excess = {name: _beyond_chance(estimated[name] - realised[name], chance[name]) for name in names}
        return cls(learnt, excess, chance, threshold, seed)

    def estimate(self, scores: Array) -> dict[str, Estimate]:
        """Returns the metrics of rows with these scores, of which there is one at least.

        The interval adds up how labels fall by chance, here and in the rows that were learnt from, and how the
        calibration would differ with other ones (of which the folds are the jackknife). There is no AUC of rows that
        most likely are of one class.
        """
        scores = np.asarray(scores, np.float64)
        each = [one.of(scores) for one in self.learnt]
        probabilities: Array = np.mean(each, axis=0)
        values = _metrics(scores, probabilities, self.threshold)
        others = [_metrics(scores, one, self.threshold) for one in each]
        drawn = _drawn(scores, probabilities, self.threshold, np.random.default_rng(self.seed))
        result = {}
        for name, excess in self.excess.items():
            known = drawn[name][np.isfinite(drawn[name])]
            if 2 * len(known) < _DRAWS:
                continue
            value = min(1.0, max(0.0, values[name] - excess))
            variance = known.var() + self.chance[name] + (_FOLDS - 1) * np.var([one[name] for one in others])
            width = TWO_SIDED * float(np.sqrt(variance))
            result[name] = Estimate(value, max(0.0, value - width), min(1.0, value + width))
        return result


def _beyond_chance(value: float, variance: float) -> float:
    """Returns the value, held to 0 as far as chance of this variance may have made it (empirical Bayes)."""
    return value * value**2 / (value**2 + variance) if value else 0.0


def _folds(labels: Array, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Returns a fold of each row, with as many rows of either label in each."""
    folds: npt.NDArray[np.int64] = np.empty(len(labels), np.int64)
    folds[np.lexsort((generator.random(len(labels)), labels))] = np.arange(len(labels)) % _FOLDS
    return folds


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

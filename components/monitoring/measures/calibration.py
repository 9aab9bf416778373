"""How likely a score is right, learnt from rows whose labels are known."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.optimize  # type: ignore[import-untyped]

from penstock.components.monitoring.measures.distances import Array

_LEAST = 1e-4  # probability
_FEWEST = 20  # labels of either class, for isotonic regression
_GROUPS = 2000  # of near scores, which a logistic regression takes for one
_PRIOR = 10.0  # how much it holds the logistic regression to scores as they are: an intercept is 0, give or take 0.3


@dataclass(frozen=True)
class Calibration:
    """Probabilities of scores: `probabilities` at `scores`, in between on a straight line."""

    scores: Array
    probabilities: Array

    def of(self, scores: npt.ArrayLike) -> Array:
        """Returns the probability of each score."""
        return np.interp(np.asarray(scores, np.float64), self.scores, self.probabilities)


def fit(scores: Array, labels: Array) -> Calibration:
    """Learns from the labels (0 or 1) of rows with these scores, which are probabilities but need not be good ones.

    The mean of isotonic regression (Zadrozny and Elkan 2002), which is right on average but follows chance, and of a
    logistic regression on the logits (Platt 1999), which does not but has one shape. Each alone is worse
    (benchmarks/monitoring).
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    different, places = np.unique(scores, return_inverse=True)
    smooth = _sigmoid(_logistic(scores, labels) @ np.stack([np.ones_like(different), _logits(different)]))
    if min(labels.sum(), (1 - labels).sum()) < _FEWEST:
        return Calibration(different, smooth)
    sizes = np.bincount(places).astype(np.float64)
    steps = scipy.optimize.isotonic_regression(np.bincount(places, labels) / sizes, weights=sizes).x
    return Calibration(different, (smooth + steps) / 2)


def _logistic(scores: Array, labels: Array) -> Array:
    """Returns intercept and slope, fitted to groups of near scores."""
    order = np.argsort(scores, kind="stable")
    starts = np.unique(np.linspace(0, len(scores), _GROUPS + 1).astype(np.int64)[:-1])
    rows: Array = np.diff(np.append(starts, len(scores))).astype(np.float64)
    positive = np.add.reduceat(labels[order], starts)
    logits = np.add.reduceat(_logits(scores)[order], starts) / rows
    columns = np.stack([np.ones_like(logits), logits])
    unchanged = np.array([0.0, 1.0])

    def loss(parameters: Array) -> tuple[float, Array]:
        fitted, moved = parameters @ columns, parameters - unchanged
        value = (rows * np.logaddexp(0, fitted) - positive * fitted).sum() + _PRIOR / 2 * moved @ moved
        return float(value), columns @ (rows * _sigmoid(fitted) - positive) + _PRIOR * moved

    # Plain Newton steps leave for infinity from scores that are far too sure.
    return np.asarray(scipy.optimize.minimize(loss, unchanged, jac=True, method="L-BFGS-B").x)


def _logits(scores: Array) -> Array:
    clipped = np.clip(scores, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _sigmoid(logits: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))

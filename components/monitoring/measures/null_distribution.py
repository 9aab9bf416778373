"""Which distances rows of an unchanged source come to, by chance alone, at a probability.

A window of n rows is held against a reference of N rows, both drawn from the same distribution. What depends on both is
what a window of 1 / (1/n + 1/N) rows has, held against the distribution itself: its `size`. Probabilities may be far
below what can be simulated, so they come from bounds, and of the Jensen-Shannon divergence from moments.
"""

import functools
import math

import numpy as np
import numpy.typing as npt
import scipy.special  # type: ignore[import-untyped]
import scipy.stats  # type: ignore[import-untyped]

from penstock.components.monitoring.measures.distances import Array, Indices

_RANGE = (1e-4, 300.0)  # expected counts of a bin, between and beyond which the moments change no more
_GRID: Array = np.linspace(math.log(_RANGE[0]), math.log(_RANGE[1]), 200)
_HALVINGS = 24


def effective_size(window: int, reference: int) -> float:
    """Returns the rows of a window that varies as much around the distribution as two samples from one another."""
    return 1 / (1 / window + 1 / reference) if window and reference else 0.0


def kolmogorov_smirnov(size: float, probability: float) -> float:
    """Returns the distance that the distributions' greatest difference exceeds at most at a probability.

    The bound of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (1990) holds for ties as well.
    """
    return min(1.0, math.sqrt(math.log(2 / probability) / (2 * size))) if size else 1.0


def l_infinity(shares: Array, size: float, probability: float) -> float:
    """Returns the distance that the greatest difference of shares exceeds at most at a probability.

    Sums the binomial tails of all bins, the union bound.
    """
    if not size:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _beyond(shares, size, middle).sum() > probability else (low, middle)
    return high


def share(expected: float, size: float, probability: float) -> float:
    """Returns the difference from an expected share, in either direction, likewise."""
    return l_infinity(np.array([expected]), size, probability)


def excess(expected: float, size: float, probability: float) -> float:
    """Returns the share of rows that is exceeded at most at a probability, where `expected` is expected."""
    if not size:
        return 1.0
    rows = max(1, round(size))
    return min(1.0, float(scipy.stats.binom.isf(probability, rows, min(expected, 1.0))) / rows)


def excess_over_sample(found: Indices, rows: Indices, window: int, probability: float) -> Array:
    """Returns the shares of a window that are exceeded at most at a probability, where `found` of `rows` are known.

    Exact of rare ones, as Poisson counts: which of all that are found together lie in the window is binomial
    (Przyborowski and Wilenski 1940), so how many do is negative binomial.
    """
    return np.asarray(scipy.stats.nbinom.isf(probability, found + 1, rows / (rows + window)) / max(1, window))


def jensen_shannon(shares: Array, size: Array | float, probability: float, fixed: Array | int = 1) -> Array:
    """Returns the divergence of a window from these shares, along the last axis, that chance exceeds at a probability.

    A gamma distribution with the mean and the variance that Poisson counts in each bin give it: of bins with many rows
    that is chi-squared's, since the divergence of nearly equal shares is a sum of squared differences.

    fixed: How many sums of bins are the same in both, by which it varies less: the sum of all, and more where the
        shares were made to fit the window.
    """
    rows = np.asarray(size, np.float64)
    expected = np.log(np.clip(shares * rows[..., None], *_RANGE))
    means, variances = _moments()
    filled = np.asarray(shares) > 0
    mean = np.where(filled, np.interp(expected, _GRID, means), 0).sum(-1) - fixed * means[-1]
    variance = np.where(filled, np.interp(expected, _GRID, variances), 0).sum(-1) - fixed * variances[-1]
    mean, variance = np.maximum(mean, means[-1] / 2), np.maximum(variance, variances[-1] / 2)
    limit = scipy.stats.gamma.isf(probability, mean * mean / variance, scale=variance / mean)
    return np.asarray(np.minimum(1, limit / np.maximum(rows, 1e-9)))


@functools.cache
def _moments() -> tuple[Array, Array]:
    """Returns the mean and the variance of a bin's part of the divergence times rows, for expected counts in _GRID."""
    expected = np.exp(_GRID)[:, None]
    counts = np.arange(int(_RANGE[1] + 12 * math.sqrt(_RANGE[1])))
    both = counts + expected
    logarithm = np.log2(2 * np.maximum(counts, 1e-300) / both)
    parts = (np.where(counts > 0, counts * logarithm, 0) + expected * np.log2(2 * expected / both)) / 2
    probabilities = scipy.stats.poisson.pmf(counts, expected)
    mean = (parts * probabilities).sum(1)
    return mean, ((parts - mean[:, None]) ** 2 * probabilities).sum(1)


def _beyond(shares: Array, size: float, difference: float) -> npt.NDArray[np.float64]:
    """Returns for each bin the probability that its share in a window differs by more."""
    rows = max(1, round(size))
    above = scipy.special.bdtrc(np.floor(np.minimum((shares + difference) * rows, rows)), rows, shares)
    least = np.ceil((shares - difference) * rows) - 1
    below = np.where(least >= 0, scipy.special.bdtr(np.maximum(least, 0), rows, shares), 0)
    return np.asarray(above + below)

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

from penstock.components.monitoring.measures import distances
from penstock.components.monitoring.measures.distances import Array

_DRAWS = 1000
_STEP = 1.2  # between the sizes of drawn windows
_HALVINGS = 40


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
    return min(1.0, float(scipy.stats.binom.isf(probability, round(size), min(expected, 1.0))) / round(size))


def jensen_shannon(shares: Array, window: int, reference: int, probability: float, seed: int) -> float:
    """Returns the divergence of a window's counts from a reference's that chance exceeds at a probability.

    A gamma distribution with the mean and the variance of 1,000 drawn windows: the divergence of nearly equal shares
    is one of squared differences, and so nearly that of chi-squared. Windows are drawn of few sizes, and what another
    size has follows from its effective one.
    """
    if not window or not reference or np.count_nonzero(shares) < 2:
        return 1.0
    drawn = round(_STEP ** round(math.log(window, _STEP)))
    of_drawn = _drawn(np.asarray(shares, np.float64).tobytes(), drawn, reference, probability, seed)
    return of_drawn * effective_size(drawn, reference) / effective_size(window, reference)


@functools.lru_cache(maxsize=10_000)
def _drawn(shares: bytes, window: int, reference: int, probability: float, seed: int) -> float:
    generator = np.random.default_rng(seed)
    exact = np.frombuffer(shares)
    counts = (generator.multinomial(rows, exact / exact.sum(), _DRAWS) for rows in (window, reference))
    return gamma_tail(distances.jensen_shannon(*counts), probability)


def gamma_tail(values: Array, probability: float) -> float:
    """Returns what a gamma distribution with these values' mean and variance exceeds at a probability."""
    mean, variance = float(values.mean()), float(values.var())
    if not mean or not variance:
        return float(values.max())
    return float(scipy.stats.gamma.isf(probability, mean * mean / variance, scale=variance / mean))


def _beyond(shares: Array, size: float, difference: float) -> npt.NDArray[np.float64]:
    """Returns for each bin the probability that its share in a window differs by more."""
    rows = round(size)
    above = scipy.special.bdtrc(np.floor(np.minimum((shares + difference) * rows, rows)), rows, shares)
    least = np.ceil((shares - difference) * rows) - 1
    below = np.where(least >= 0, scipy.special.bdtr(np.maximum(least, 0), rows, shares), 0)
    return np.asarray(above + below)

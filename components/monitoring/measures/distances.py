"""Distances between two arrays of counts over the same bins, as TFDV's comparators and Vertex AI compute them."""

import numpy as np
import numpy.typing as npt

type Array = npt.NDArray[np.float64]
type Indices = npt.NDArray[np.int64]


def shares(counts: npt.ArrayLike) -> Array:
    """Returns counts divided by their sum along the last axis, zeros where there are none."""
    array = np.asarray(counts, np.float64)
    return array / np.maximum(array.sum(axis=-1, keepdims=True), 1)


def l_infinity(first: npt.ArrayLike, second: npt.ArrayLike) -> Array:
    """Returns the greatest difference of shares."""
    return np.asarray(np.abs(shares(first) - shares(second)).max(axis=-1))


def jensen_shannon(first: npt.ArrayLike, second: npt.ArrayLike) -> Array:
    """Returns the Jensen-Shannon divergence in bits: 0 of the same shares, 1 of bins that are never both filled."""
    one, other = shares(first), shares(second)
    return _entropy((one + other) / 2) - (_entropy(one) + _entropy(other)) / 2


def kolmogorov_smirnov(first: npt.ArrayLike, second: npt.ArrayLike) -> Array:
    """Returns the greatest difference of shares below any bin's end, for bins in their order."""
    differences = np.cumsum(shares(first) - shares(second), axis=-1)
    return np.asarray(np.abs(differences).max(axis=-1))


def _entropy(probabilities: Array) -> Array:
    terms = probabilities * np.log2(np.where(probabilities > 0, probabilities, 1))
    return np.asarray(-terms.sum(axis=-1))

"""TFMA's histograms of predictions as arrays: what TFMA derives from them takes a tenth of its time.

TFMA goes through 10,000 buckets in Python for each slice and metric. The functions that do so are replaced in this
process by ones that give the same numbers. Whoever reads such a histogram as TFMA's list of buckets still can.
"""

from collections.abc import Sequence
from typing import overload

import numpy as np
from tensorflow_model_analysis.metrics import binary_confusion_matrices, calibration_histogram
from tensorflow_model_analysis.metrics.binary_confusion_matrices import Matrices
from tensorflow_model_analysis.metrics.calibration_histogram import DEFAULT_NUM_BUCKETS, Bucket

_EPSILON = binary_confusion_matrices._EPSILON


class Histogram(Sequence[Bucket]):
    """Buckets by their numbers, with the weighted sums of labels, predictions and examples in each, [buckets, 3]."""

    def __init__(self, numbers: np.ndarray, sums: np.ndarray):
        self.numbers, self.sums = numbers, sums

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> Bucket: ...
    @overload
    def __getitem__(self, index: slice) -> "Histogram": ...
    def __getitem__(self, index: int | slice) -> "Bucket | Histogram":
        if isinstance(index, slice):
            return Histogram(self.numbers[index], self.sums[index])
        return Bucket(int(self.numbers[index]), *self.sums[index].tolist())


def patch() -> None:
    """Replaces TFMA's functions in this process."""
    calibration_histogram.rebin = rebin
    binary_confusion_matrices._histogram_to_binary_confusion_matrices = matrices


def _of(buckets: Sequence[Bucket]) -> Histogram:
    if isinstance(buckets, Histogram):
        return buckets
    sums = [(each.weighted_labels, each.weighted_predictions, each.weighted_examples) for each in buckets]
    return Histogram(np.array([each.bucket_id for each in buckets], np.int64), np.array(sums).reshape(-1, 3))


def rebin(
    thresholds: Sequence[float],
    histogram: Sequence[Bucket],
    num_buckets: int = DEFAULT_NUM_BUCKETS,
    left: float = 0.0,
    right: float = 1.0,
) -> Histogram:
    """Returns the histogram over other buckets: each begins at a threshold, the first takes what is below, too."""
    given = _of(histogram)
    edges = (given.numbers - 1) / num_buckets * (right - left) + left
    edges = np.where(given.numbers == 0, -np.inf, np.where(given.numbers > num_buckets, np.inf, edges))
    places = np.maximum(np.searchsorted(thresholds, edges, side="right") - 1, 0)
    sums = [np.bincount(places, weights=column, minlength=len(thresholds)) for column in given.sums.T]
    # Of nothing, bincount makes integers.
    return Histogram(np.arange(len(thresholds)), np.stack(sums, axis=1).astype(np.float64))


def matrices(thresholds: list[float], histogram: Sequence[Bucket]) -> Matrices:
    """Returns the confusion matrices at thresholds of a histogram whose buckets begin there.

    If the thresholds begin with 0 or more, a bucket comes before that of the first one.
    """
    given = _of(histogram)
    if not len(given):
        zeros = [0.0] * len(thresholds)
        return Matrices(thresholds, zeros, zeros, zeros, zeros)
    positive, negative = given.sums[:, 0], given.sums[:, 2] - given.sums[:, 0]
    start = 1 if (thresholds[0] >= 0 or len(thresholds) == 1) and len(given) > 1 else 0
    part = slice(start, start + len(thresholds))
    tp, fp = (np.cumsum(column[::-1])[::-1][part] for column in (positive, negative))
    fn, tn = (np.concatenate([[0.0], np.cumsum(column)[:-1]])[part] for column in (positive, negative))
    above = np.asarray(thresholds) >= 1.0 + _EPSILON  # no prediction is
    if above.any():
        tp, fp = np.where(above, 0.0, tp), np.where(above, 0.0, fp)
        fn, tn = np.where(above, tp[0], fn), np.where(above, fp[0], tn)
    return Matrices(thresholds, tp.tolist(), tn.tolist(), fp.tolist(), fn.tolist())

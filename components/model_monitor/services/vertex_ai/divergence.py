"""Jensen-Shannon divergence of numbers as Vertex AI has it, which is TFDV's, and how far chance takes it.

TFDV counts the values of each side in ten buckets of equal width, between that side's own least and greatest value. It
then divides both at the ends of all buckets, as if values were spread evenly within one. So two samples of a skewed
distribution differ by far more than their sizes explain: their greatest values differ, and with them all buckets. Hence
thresholds are derived from samples of the training data, and not from a formula.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.stats  # type: ignore[import-untyped]
from tfx_bsl import sketches

from penstock.components.monitoring.measures import distances

_BUCKETS, _QUANTILES, _EPSILON = 10, 1000, 0.01  # as TFDV has them by default
SAMPLES = 100  # of windows
_SEED = 1948

type Numbers = npt.NDArray[np.float64]
type Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Histogram:
    edges: Numbers
    counts: Numbers

    @classmethod
    def of(cls, values: Numbers) -> "_Histogram":
        """Counts as TFDV does: its sketch of quantiles, and the buckets that it makes of that."""
        # It takes seconds to import, and most runs of ModelMonitor have no service.
        from tensorflow_data_validation.utils import quantiles_util

        sketch = sketches.QuantilesSketch(eps=_EPSILON, max_num_elements=1 << 32, num_streams=1)
        sketch.AddValues(pa.array(values))
        quantiles, cumulative = (
            one.flatten().to_numpy(zero_copy_only=False) for one in sketch.GetQuantilesAndCumulativeWeights(_QUANTILES)
        )
        low, high = float(values.min()), float(values.max())
        made = quantiles_util.generate_equi_width_histogram(quantiles, cumulative, low, high, _BUCKETS, 0)
        edges = np.array([one.low_value for one in made.buckets] + [made.buckets[-1].high_value])
        if low == high:
            edges[1] = np.nextafter(low, np.inf)
        return cls(edges, np.array([one.sample_count for one in made.buckets]))

    def divided(self, edges: Numbers) -> Numbers:
        """Returns the counts between other edges."""
        total = np.concatenate([[0], np.cumsum(self.counts)])
        return np.diff(np.interp(edges, self.edges, total))


def divergence(first: Numbers, second: Numbers) -> float:
    """Returns the divergence of two samples, neither of which is empty or has NaN."""
    return _between(_Histogram.of(first), _Histogram.of(second))


def chance(column: pa.Array, size: int, probability: float) -> tuple[float, float]:
    """Returns the divergences that chance exceeds at most at a probability, for windows of so many rows.

    The first is that of a window from the training data, the second that of two windows from one another; `column` has
    a list of numbers for each row of the training data. A gamma distribution with the samples' mean and variance gives
    the tail beyond the greatest of them. Without any finite number nothing is exceeded.
    """
    values, counts = _finite(column)
    if not len(values):
        return 1.0, 1.0
    training, windows = _Histogram.of(values), list(_windows(values, counts, size))
    skew = [_between(one, training) for one in windows]
    drift = [_between(one, other) for one, other in itertools.pairwise(windows)]
    return _exceeded(skew, probability), _exceeded(drift, probability)


def _finite(column: pa.Array) -> tuple[Numbers, Counts]:
    """Returns all finite values, and how many each row has."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    values = np.asarray(column.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False))
    rows: Counts = np.repeat(np.arange(len(lengths)), lengths)
    kept = np.isfinite(values)
    return values[kept], np.bincount(rows[kept], minlength=len(lengths))


def _windows(values: Numbers, counts: Counts, size: int) -> Iterator[_Histogram]:
    generator, begins = np.random.default_rng(_SEED), np.cumsum(counts) - counts
    for _ in range(SAMPLES):
        chosen = generator.integers(0, len(counts), size)
        of_row = counts[chosen]
        indices = np.repeat(begins[chosen] - (np.cumsum(of_row) - of_row), of_row) + np.arange(of_row.sum())
        if len(indices):
            yield _Histogram.of(values[indices])


def _between(first: _Histogram, second: _Histogram) -> float:
    edges = np.union1d(first.edges, second.edges)
    return float(distances.jensen_shannon(first.divided(edges), second.divided(edges)))


def _exceeded(values: Sequence[float], probability: float) -> float:
    sample = np.asarray(values)
    if not len(sample):
        return 1.0
    mean, variance = float(sample.mean()), float(sample.var())
    tail = scipy.stats.gamma.isf(probability, mean * mean / variance, scale=variance / mean) if variance else mean
    return min(1.0, max(float(tail), float(sample.max())))

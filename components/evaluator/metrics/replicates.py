"""Resampled examples for confidence intervals: a replicate of a slice is accumulated like a slice.

TFMA's definitions: a Poisson bootstrap takes each example into each replicate as often as a draw from Poisson(1) says;
a jackknife puts each example into one of 20 buckets and leaves one bucket out of each replicate. Here an example is
drawn once for all slices, so that slices and models are compared on the same draws, and the draws are seeded.
"""

from typing import Literal

import numpy as np
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.proto.config_pb2 import ConfidenceIntervalOptions, EvalConfig

from penstock.components.evaluator.slices import Memberships

_SEED = 20
_COUNT = {
    "bootstrap": evaluator._DEFAULT_NUM_BOOTSTRAP_SAMPLES,
    "jackknife": evaluator._DEFAULT_NUM_JACKKNIFE_BUCKETS,
    "none": 0,
}
type Method = Literal["bootstrap", "jackknife", "none"]


def method(config: EvalConfig) -> Method:
    """Returns how the config has confidence intervals computed, if at all."""
    if not config.options.compute_confidence_intervals.value:
        return "none"
    options = ConfidenceIntervalOptions
    methods: dict[int, Method] = {options.JACKKNIFE: "jackknife", options.POISSON_BOOTSTRAP: "bootstrap"}
    return methods.get(config.options.confidence_intervals.method, "none")


class Replicates:
    """Codes slices and replicates: the slice `code` itself has `code * size`, and its replicates follow."""

    def __init__(self, config: EvalConfig):
        self.method = method(config)
        self.count = _COUNT[self.method]
        self.size = self.count + 1

    def codes(self, slices: np.ndarray) -> np.ndarray:
        """Returns the codes of these slices and of their replicates, slice by slice."""
        codes: np.ndarray = (slices[:, None] * self.size + np.arange(self.size)).ravel()
        return codes

    def drawn(self, members: Memberships, shard: int, batch: int) -> Memberships:
        """Returns the memberships of a batch, each in the slice itself and in those replicates that draw the example.

        The draws depend on the numbers of the shard and of the batch alone.
        """
        if not self.count:
            return members
        generator = np.random.default_rng([_SEED, shard, batch])
        sizes = np.diff(members.starts)
        if self.method == "bootstrap":
            draws = generator.poisson(1.0, (len(sizes), self.count))
        else:
            draws = (generator.integers(self.count, size=(len(sizes), 1)) != np.arange(self.count)).astype(np.int64)
        times = np.concatenate([np.ones((len(sizes), 1), np.int64), draws], axis=1)
        codes: np.ndarray = np.repeat(self.codes(members.codes), np.repeat(times, sizes, axis=0).ravel())
        return Memberships(np.concatenate([[0], np.cumsum(sizes * times.sum(axis=1))]), codes)

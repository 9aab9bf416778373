"""Accumulators that give what TFMA's combiners give, so that what TFMA derives from them goes on from there."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Self

import numpy as np
from tensorflow_model_analysis.metrics.metric_types import MetricKey, MetricsDict

from penstock.components.evaluator.metrics.batch import Accumulator, Batch
from penstock.components.evaluator.metrics.comparison import Block, Comparison
from penstock.components.evaluator.metrics.evidence import Spread
from penstock.components.evaluator.metrics.sums import BucketSums, Sums


class Result(Accumulator):
    """An accumulator in place of one of TFMA's combiners."""

    @abstractmethod
    def result(self, code: int) -> MetricsDict:
        """Returns what the combiner would give for the slice with this code."""

    def spreads(self, code: int) -> dict[MetricKey, Spread]:
        """Returns how far those metrics that are means are off by chance; others are left out."""
        return {}


def spreads_of(results: Iterable[Result], code: int) -> dict[MetricKey, Spread]:
    """Returns the spreads of all metrics of a slice."""
    return {key: spread for result in results for key, spread in result.spreads(code).items()}


class Summed(Result):
    """What is a function of sums over the examples of a slice."""

    def __init__(self, keys: list[MetricKey], compared: Comparison, quantities: int):
        self.keys, self._compared, self._sums = keys, compared, Sums(quantities)

    def add(self, batch: Batch) -> None:
        for block in batch.blocks(self._compared):
            positions, codes = batch.memberships.expand(block.rows)
            self._sums.add(codes, self.quantities(block)[positions])

    def merge(self, other: Self, codes: np.ndarray) -> None:
        self._sums.merge(other._sums, codes)

    @abstractmethod
    def quantities(self, block: Block) -> np.ndarray:
        """Returns what is summed, of shape [entries, quantities]."""


class Bucketed(Result):
    """What is a function of sums in buckets over the examples of a slice."""

    def __init__(self, key: MetricKey, compared: Comparison, buckets: int, quantities: int):
        self.key, self._compared, self._sums = key, compared, BucketSums(buckets, quantities)

    def add(self, batch: Batch) -> None:
        for block in batch.blocks(self._compared):
            positions, codes = batch.memberships.expand(block.rows)
            buckets, quantities = self.bucketed(block)
            for column in buckets.T:
                self._sums.add(codes, column[positions], quantities[positions])

    def merge(self, other: Self, codes: np.ndarray) -> None:
        self._sums.merge(other._sums, codes)

    @abstractmethod
    def bucketed(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Returns the buckets of each entry, [entries, buckets], and what is summed there, [entries, quantities]."""


class Count(Summed):
    """The number of examples, or their weight."""

    def __init__(self, keys: list[MetricKey], model: str, output: str, weighted: bool):
        super().__init__(keys, Comparison(model, output, weighted=weighted), 1)

    def add(self, batch: Batch) -> None:
        weighted = self._compared.weighted
        weights = batch.weights(self._compared.model, self._compared.output) if weighted else np.ones(len(batch.rows))
        positions, codes = batch.memberships.expand(np.arange(len(batch.rows)))
        self._sums.add(codes, weights[positions, None])

    def quantities(self, block: Block) -> np.ndarray:
        raise NotImplementedError  # counts compare nothing

    def result(self, code: int) -> MetricsDict:
        return dict.fromkeys(self.keys, float(self._sums.of(code)[0]))

"""A batch of evaluated examples as arrays, and what accumulates batches."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import Extracts, TensorValueMaybeMultiLevelDict
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.utils import util

from penstock.components.evaluator.metrics import comparison
from penstock.components.evaluator.metrics.comparison import Block, Comparison
from penstock.components.evaluator.slices import Memberships

_COMPARED = (constants.LABELS_KEY, constants.PREDICTIONS_KEY, constants.EXAMPLE_WEIGHTS_KEY)


@dataclass
class Batch:
    """Examples that have all that the config requires of them: a label and a weight.

    `extracts` are TFMA's of the whole batch, and `rows` the positions of these examples in it. Memberships count the
    examples by their position in `rows`.
    """

    config: EvalConfig
    extracts: Extracts
    rows: np.ndarray
    memberships: Memberships
    _blocks: dict[Comparison, list[Block]] = field(default_factory=dict, repr=False)

    def blocks(self, compared: Comparison) -> list[Block]:
        """Returns the labels, predictions and weights that a metric compares; one block if all have the same shape.

        They are computed once for all metrics that compare the same. Raises TFMA's errors if they do not fit.
        """
        if compared.weighted and self.extracts.get(constants.EXAMPLE_WEIGHTS_KEY) is None:
            compared = replace(compared, weighted=False)  # all count the same, and no example is looked at by itself
        if compared not in self._blocks:
            block = comparison.block(self._arrays, self.config, compared)
            self._blocks[compared] = [block] if block else comparison.slow_blocks(self.examples, self.config, compared)
        return self._blocks[compared]

    @cached_property
    def _arrays(self) -> Extracts:
        return {key: comparison.taken(self.extracts.get(key), self.rows) for key in _COMPARED}

    @cached_property
    def examples(self) -> list[Extracts]:
        """TFMA's extracts of each single example, with labels, predictions and weights only."""
        kept = {key: self.extracts[key] for key in _COMPARED if self.extracts.get(key) is not None}
        parts = util.split_extracts(kept)
        return [parts[row] for row in self.rows]

    def weights(self, model: str, output: str) -> np.ndarray:
        """Returns the weight of each example: the sum, if it has several values."""
        if self.extracts.get(constants.EXAMPLE_WEIGHTS_KEY) is None:
            return np.ones(len(self.rows))
        value = comparison.looked_up(self._arrays[constants.EXAMPLE_WEIGHTS_KEY], model, output)
        if isinstance(value, np.ndarray):
            total: np.ndarray = value.reshape(len(value), -1).sum(axis=1, dtype=np.float64)
            return total
        sums: np.ndarray = np.array([_total(example, model, output) for example in self.examples], np.float64)
        return sums


def _total(example: Extracts, model: str, output: str) -> float:
    weight: TensorValueMaybeMultiLevelDict = example[constants.EXAMPLE_WEIGHTS_KEY]
    value = comparison.looked_up(weight, model, output)
    if isinstance(value, Mapping):
        raise ValueError(f"example_count cannot be calculated on a dict {value}")
    return float(np.sum(value))


class Accumulator(ABC):
    """What a metric keeps of the batches of one shard, for each slice: small, and picklable.

    Slices are known by codes: an accumulator is not told how many there will be.
    """

    @abstractmethod
    def add(self, batch: Batch) -> None:
        """Adds the examples of a batch to each of their slices."""

    @abstractmethod
    def merge(self, other: Self, codes: np.ndarray) -> None:
        """Adds another shard's accumulator; `codes` holds, by each code of that one, the code here."""

"""The trivial model: whatever the example, it predicts the same, by the labels that training saw.

For classes it predicts the share of each in the training examples, so its answer is the most frequent one, as that of
scikit-learn's DummyClassifier(strategy="prior"). For a regression it predicts the mean.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np

type Array = np.ndarray
_LEAST = 1e-7  # a probability whose logit is taken: Keras's epsilon


@dataclass
class LabelTotals:
    """Weighted sums over labels: those of shards are merged.

    `width` is how many numbers the model predicts for an example: one, which is a label's value or the probability of
    the class 1, or one for each class.
    """

    width: int
    sums: Array = field(init=False)
    weight: float = 0.0

    def __post_init__(self) -> None:
        self.sums = np.zeros(self.width)

    def add(self, labels: Array, weights: Array | None = None) -> None:
        """Adds labels: numbers or indices of classes ([rows] or [rows, 1]), or a row of a number for each class.

        What is no number and no class of the model counts for nothing, nor does its weight.
        """
        values = np.asarray(labels, np.float64)
        values = values[:, None] if values.ndim == 1 else values
        counted = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64).reshape(len(values))
        if values.shape[1] == self.width:
            known = np.isfinite(values).all(axis=1)
            self.sums += counted[known] @ values[known]
        else:
            classes = values[:, 0]
            known = (classes >= 0) & (classes < self.width)
            self.sums += np.bincount(classes[known].astype(np.int64), counted[known], self.width)
        self.weight += float(counted[known].sum())

    def merge(self, other: Self) -> None:
        """Adds those of other examples."""
        self.sums += other.sums
        self.weight += other.weight

    def model(self) -> "TrivialModel | None":
        """Returns what these labels teach; None if there is none, or all weigh nothing."""
        return TrivialModel(self.sums / self.weight) if self.weight > 0 else None


@dataclass(frozen=True)
class TrivialModel:
    """What is predicted for every example."""

    prediction: Array

    def predictions(self, rows: int) -> Array:
        """Returns the predictions for so many examples: float64 [rows, width]."""
        predictions: Array = np.broadcast_to(self.prediction, (rows, len(self.prediction)))
        return predictions

    def logits(self) -> "TrivialModel":
        """Returns the model that predicts the logits of these probabilities."""
        shares = np.clip(self.prediction, _LEAST, 1 - _LEAST)
        return TrivialModel(np.log(shares) if len(shares) > 1 else np.log(shares / (1 - shares)))

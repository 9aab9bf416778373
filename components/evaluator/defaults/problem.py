"""What a model predicts: as the model says itself, if it is one without code, else as labels and predictions show."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from penstock.components.evaluator.models import EvaluatedModel

type Kind = Literal["binary", "multiclass", "regression", "other"]


@dataclass(frozen=True)
class Problem:
    """What the predictions are.

    Args:
        kind: `other` is what no common metric fits, such as several outputs.
        classes: How many classes there are, or 0.
        one_hot: Whether a label is a row of numbers, one for each class, and no index.
        logits: Whether predictions are logits, and no probabilities.
    """

    kind: Kind
    classes: int = 0
    one_hot: bool = False
    logits: bool = False


def known(model: EvaluatedModel) -> Problem | None:
    """Returns what a model predicts as far as its files say so: None if examples have to be looked at."""
    if model.label is not None:
        return Problem(model.label.problem, len(model.label.classes))
    if "" not in model.predictions or model.predictions[""].dtype.name == "string":
        return Problem("other")
    return None


def of(labels: np.ndarray, predicted: np.ndarray) -> Problem:
    """Returns what labels and predictions, [rows, values] each, are of."""
    width, values = predicted.shape[1], np.unique(labels)
    probable = bool(np.all((predicted >= 0) & (predicted <= 1)))
    if width == 1 and labels.shape[1] == 1:
        if np.isin(values, (0, 1)).all() and (probable or len(values) == 2):
            return Problem("binary", 2, logits=not probable)
        return Problem("regression")
    if width > 1 and labels.shape[1] == width:
        one_hot = np.isin(values, (0, 1)).all() and np.all(labels.sum(axis=1) == 1)
        return Problem("multiclass", width, one_hot=True, logits=not probable) if one_hot else Problem("other")
    if width > 1 and labels.shape[1] == 1 and np.all((values == values.round()) & (values >= -1) & (values < width)):
        return Problem("multiclass", width, logits=not probable)
    return Problem("other")

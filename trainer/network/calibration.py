"""Calibrated probabilities: a temperature fitted on the eval split (Guo et al. 2017), kept inside the model."""

import keras
import numpy as np
import scipy.optimize  # type: ignore[import-untyped]

from penstock.trainer.network.losses import Head

_BOUNDS = (0.1, 10.0)
# The standard deviation of log(temperature) before any row is seen, around 0. A few rows without an error would have a
# temperature of 0; with thousands of rows this changes nothing.
_PRIOR = 0.5


def log_loss(raw_outputs: np.ndarray, labels: np.ndarray, head: Head, temperature: float = 1.0) -> float:
    """Returns the mean cross-entropy of the ensemble's probabilities, its raw outputs divided by `temperature`.

    raw_outputs: [rows, members, outputs]; labels: [rows, 1], the class's index.
    """
    logits = raw_outputs.astype(np.float64) / temperature
    if head.problem == "binary":
        logits = np.concatenate([np.zeros_like(logits), logits], axis=2)
    log_probabilities = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    index: np.ndarray = labels.astype(np.int64).reshape(-1, 1, 1)
    of_label = np.take_along_axis(log_probabilities, index, axis=2)[:, :, 0]
    return float(np.mean(np.log(of_label.shape[1]) - np.logaddexp.reduce(of_label, axis=1)))


def calibrate(model: keras.Model, head: Head, raw_outputs: np.ndarray, labels: np.ndarray) -> float:
    """Divides the model's raw outputs by the temperature that suits the eval split best, and returns it.

    Best is the least log loss, with a mild prior for 1. Takes what the model says of the split, as `log_loss` does. The
    order of predictions hardly changes, a regression not at all. The temperature is a weight of the model: saving and
    exporting it take it along. Calling it a second time calibrates what the first call left.
    """
    if head.problem == "regression" or not len(labels):
        return 1.0

    def cost(log_temperature: float) -> float:
        of_rows = len(labels) * log_loss(raw_outputs, labels, head, float(np.exp(log_temperature)))
        return of_rows + (log_temperature / _PRIOR) ** 2 / 2

    found = scipy.optimize.minimize_scalar(cost, bounds=np.log(_BOUNDS), method="bounded")
    temperature = float(np.exp(found.x))
    weight = model.get_layer("temperature").temperature
    weight.assign(weight * temperature)
    return temperature

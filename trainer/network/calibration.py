"""Calibration of probabilities: a temperature fitted on the eval split (Guo et al. 2017) becomes part of the model."""

import keras
import numpy as np
import scipy.optimize  # type: ignore[import-untyped]

from penstock.trainer.network.losses import Head

_BOUNDS = (0.1, 10.0)
# The standard deviation of the prior of log(temperature), whose mean is 0. Without a prior, a few rows that are all
# predicted correctly would have a temperature of 0. With thousands of rows the prior hardly counts.
_PRIOR = 0.5


def log_loss(raw_outputs: np.ndarray, labels: np.ndarray, head: Head, temperature: float = 1.0) -> float:
    """Returns the mean cross-entropy of the ensemble's probabilities.

    raw_outputs: [rows, members, outputs]; they are divided by `temperature`. labels: [rows, 1], indices of classes.
    """
    logits = raw_outputs.astype(np.float64) / temperature
    if head.problem == "binary":
        logits = np.concatenate([np.zeros_like(logits), logits], axis=2)
    log_probabilities = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    index: np.ndarray = labels.astype(np.int64).reshape(-1, 1, 1)
    of_label = np.take_along_axis(log_probabilities, index, axis=2)[:, :, 0]
    return float(np.mean(np.log(of_label.shape[1]) - np.logaddexp.reduce(of_label, axis=1)))


def calibrate(model: keras.Model, head: Head, raw_outputs: np.ndarray, labels: np.ndarray) -> float:
    """Sets the model's temperature to the one with the least log loss on the eval split, and returns it.

    raw_outputs, labels: of the eval split, as `log_loss` takes them.

    A mild prior prefers 1. The temperature is a weight of the model, so it is saved and exported with it. A second call
    calibrates what the first one left. A regression is left as it is.
    """
    if head.problem == "regression" or not len(labels):
        return 1.0

    def cost(log_temperature: float) -> float:
        total = len(labels) * log_loss(raw_outputs, labels, head, float(np.exp(log_temperature)))
        return total + (log_temperature / _PRIOR) ** 2 / 2

    optimum = scipy.optimize.minimize_scalar(cost, bounds=np.log(_BOUNDS), method="bounded")
    temperature = float(np.exp(optimum.x))
    weight = model.get_layer("temperature").temperature
    weight.assign(weight * temperature)
    return temperature

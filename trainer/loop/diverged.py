"""Describes a step whose loss is not finite: its learning rate, and the ranges of the values in its batch."""

from collections.abc import Mapping

import keras
import numpy as np

_MOST_NAMED = 6  # features


def learning_rate(optimizer: keras.optimizers.Optimizer, step: int) -> float:
    """Returns the learning rate of a step, counted from 0; the optimizer itself knows only that of its next step."""
    rate = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
    rate = rate(step) if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else rate
    return float(keras.ops.convert_to_numpy(rate))


def ranges(columns: Mapping[str, np.ndarray]) -> str:
    """Returns the ranges of columns, such as "miles 0 to 4 (3 not finite), fare 0 to 12.5 and 2 more".

    Columns with the most values that are not finite come first, then those with the largest values.
    """
    described = []
    for name, values in sorted(columns.items()):
        finite = values[np.isfinite(values)]
        missing = values.size - finite.size
        span = f"{finite.min():g} to {finite.max():g}" if finite.size else "none finite"
        largest = float(np.abs(finite).max()) if finite.size else 0.0
        described.append((-missing, -largest, f"{name} {span}" + (f" ({missing} not finite)" if missing else "")))
    more = f" and {len(described) - _MOST_NAMED} more" if len(described) > _MOST_NAMED else ""
    return ", ".join(text for *_, text in sorted(described)[:_MOST_NAMED]) + more

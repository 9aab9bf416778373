"""What is told of a training whose loss is no number: the learning rate of a step, and the ranges of its batch."""

from typing import Any

import keras
import numpy as np

_NAMED = 6  # features


def learning_rate(optimizer: keras.optimizers.Optimizer, step: int) -> float:
    """Returns the learning rate of a step, counted from 0: the optimizer itself only tells that of its next one."""
    rate = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
    rate = rate(step) if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else rate
    return float(keras.ops.convert_to_numpy(rate))


def ranges(inputs: dict[str, Any]) -> str:
    """Returns "fare 0 to 12.5, miles 0 to 4 (3 not a number), …": those with values that are not finite come first."""
    found = []
    for name, values in sorted(inputs.items()):
        finite = values[np.isfinite(values)]
        missing = values.size - finite.size
        span = f"{finite.min():g} to {finite.max():g}" if finite.size else "none finite"
        size = float(np.abs(finite).max()) if finite.size else 0.0
        found.append((-missing, -size, f"{name} {span}" + (f" ({missing} not finite)" if missing else "")))
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(text for *_, text in sorted(found)[:_NAMED]) + more

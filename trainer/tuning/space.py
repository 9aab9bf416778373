"""Makes KerasTuner's search space out of the settings of a search."""

from collections.abc import Mapping, Sequence

import keras_tuner

from penstock.core.errors import ConfigError
from penstock.trainer.tuning.settings import Range, Value


def hyperparameters(parameters: Mapping[str, Range], kinds: Mapping[str, type]) -> keras_tuner.HyperParameters:
    """Returns the search space.

    kinds: the types of the model's hyperparameters, by name: int or float.

    Raises a ConfigError if the range of an int has an end or a step that is no whole number.
    """
    space = keras_tuner.HyperParameters()
    for name, entry in parameters.items():
        if entry.values:
            space.Choice(name, [kinds[name](value) for value in entry.values], ordered=_ordered(entry.values))
        elif kinds[name] is int:
            space.Int(name, **_limits(name, entry, int), sampling=entry.scale)
        else:
            space.Float(name, **_limits(name, entry, float), sampling=entry.scale)
    return space


def size(space: keras_tuner.HyperParameters) -> int | None:
    """Returns the number of different points in a space; None if it is infinite."""
    count = 1
    for entry in space.space:
        if isinstance(entry, keras_tuner.engine.hyperparameters.Float) and entry.step is None:
            return None
        count *= len(list(entry.values))
    return count


def _limits(name: str, entry: Range, kind: type) -> dict[str, int | float]:
    """Returns the arguments of KerasTuner's Int or Float."""
    ends = {"min_value": entry.min, "max_value": entry.max, "step": entry.step}
    limits = {key: value for key, value in ends.items() if value is not None}
    for key, value in limits.items():
        if kind(value) != value:
            raise ConfigError(f"tuning.parameters.{name}: expected whole numbers, received {value} for {key}")
    if kind is float and entry.scale == "linear" and "step" in limits:
        limits["max_value"] += 1e-8 * limits["step"]  # KerasTuner counts five steps of 0.1 from 0 to 0.5 as four
    return {key: kind(value) for key, value in limits.items()}


def _ordered(values: Sequence[Value]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)

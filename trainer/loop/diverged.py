"""Errors of a training whose loss is not finite: they describe the step, or the evaluation data, that is the cause."""

from collections.abc import Iterable, Mapping

import keras
import numpy as np

from penstock.core.errors import DataError
from penstock.trainer.data.input_data import Batch

_MOST_NAMED = 6  # features


def evaluation_error(problem: str, batches: Iterable[Batch]) -> DataError | None:
    """Returns the error for evaluation data with values that are not finite; None if all are finite."""
    for inputs, label, *_ in batches:
        columns = {**inputs, "label": label}
        if not all(np.isfinite(values).all() for values in columns.values()):
            return DataError(
                f"{problem}: the evaluation data has values that are not finite: {_ranges(columns)}; correct them"
            )
    return None


def training_error(
    problem: str, batch: Batch, optimizer: keras.optimizers.Optimizer, *, epoch: int, index: int, step: int
) -> DataError:
    """Returns the error for a step that made the loss infinite or NaN.

    problem: the start of the sentence, such as "the loss is nan at". epoch, index, step: count from 0; `index` is the
        place of the batch in its epoch.
    """
    inputs, label, *_ = batch
    return DataError(
        f"{problem} step {step + 1} (epoch {epoch + 1}, batch {index + 1}), with a learning rate of "
        f"{_learning_rate(optimizer, step):.3g}; the features in that batch: {_ranges({**inputs, 'label': label})}; "
        "correct values that are out of range, or lower training.learning_rate"
    )


def _learning_rate(optimizer: keras.optimizers.Optimizer, step: int) -> float:
    """Returns the learning rate of a step, counted from 0; the optimizer itself knows only that of its next step."""
    rate = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
    rate = rate(step) if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else rate
    return float(keras.ops.convert_to_numpy(rate))


def _ranges(columns: Mapping[str, np.ndarray]) -> str:
    """Returns the ranges of columns, such as "miles 0 to 4 (3 not finite), fare 0 to 12.5 and 2 more".

    Columns with the most values that are not finite come first, then those with the largest values.
    """
    texts = []
    for name, values in sorted(columns.items()):
        finite = values[np.isfinite(values)]
        missing = values.size - finite.size
        span = f"{finite.min():g} to {finite.max():g}" if finite.size else "none finite"
        largest = float(np.abs(finite).max()) if finite.size else 0.0
        texts.append((-missing, -largest, f"{name} {span}" + (f" ({missing} not finite)" if missing else "")))
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return ", ".join(text for *_, text in sorted(texts)[:_MOST_NAMED]) + more

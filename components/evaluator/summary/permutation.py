"""What matters to a model: permutation importance and partial dependence, of the columns of its raw examples.

L. Breiman, Random Forests, Machine Learning 45, 2001: a column matters as much as the model gets worse when the
column's values are permuted among the rows. J. Friedman, Greedy Function Approximation, Annals of Statistics 29, 2001:
the mean prediction if all rows had the same value in a column shows in what way it matters.

The model is asked about many copies of the rows at once, as a call costs more than a row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.artifacts.evaluation_summary import Effect

_AT_ONCE = 16_384  # rows in a call of the model
_VALUES = 10  # of an effect at most
_QUANTILES = (0.01, 0.99)  # an effect is of the values between these
# Predictions, [rows, values], of a batch of examples.
type Predict = Callable[[pa.RecordBatch], np.ndarray]


def predict_permuted(
    predict: Predict, batch: pa.RecordBatch, columns: Sequence[str], repetitions: int, seed: int
) -> np.ndarray:
    """Returns the predictions for copies of the rows in which one column is permuted: [columns, repetitions, rows, …].

    The permutations are those of the seed.
    """
    generator, count = np.random.default_rng(seed), batch.num_rows
    changes = [(column, pa.array(generator.permutation(count))) for column in columns for _ in range(repetitions)]
    copies = (_with_column(batch, column, batch.column(column).take(order)) for column, order in changes)
    predictions = _predictions(predict, copies, count)
    return predictions.reshape(len(columns), repetitions, count, -1)


@dataclass(frozen=True)
class Grid:
    """The values that a column is set to, each as a list of Arrow, and the share of the rows that has it."""

    column: str
    values: pa.Array
    shares: list[float]


def grid(batch: pa.RecordBatch, column: str) -> Grid | None:
    """Returns the values of a column: its quantiles if it has numbers, else the most frequent ones.

    None if a row has several, or if there are fewer than two.
    """
    cells = batch.column(column)
    if pa.types.is_null(cells.type) or (pc.max(pc.list_value_length(cells)).as_py() or 0) > 1:
        return None
    flat = cells.flatten()
    is_text = not (pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type))
    values, counts = _frequent(flat) if is_text else _spread(flat)
    if len(values) < 2:
        return None
    offsets = pa.array(range(len(values) + 1), pa.int64())
    lists = pa.LargeListArray.from_arrays(offsets, values).cast(cells.type)
    return Grid(column, lists, [float(count / batch.num_rows) for count in counts])


def effects(predict: Predict, batch: pa.RecordBatch, grids: Sequence[Grid]) -> Iterator[Effect]:
    """Yields the mean prediction for each value of each grid. Of several classes it is that which changes most."""
    count = batch.num_rows
    copies = (
        _with_column(batch, grid.column, grid.values.take(pa.array([place] * count)))
        for grid in grids
        for place in range(len(grid.values))
    )
    predictions = _predictions(predict, copies, count)
    means = predictions.reshape(-1, count, predictions.shape[-1]).mean(axis=1)
    start = 0
    for grid in grids:
        curves = means[start : start + len(grid.values)]
        start += len(grid.values)
        moved = int(np.ptp(curves, axis=0).argmax())
        values = [_plain(value) for (value,) in grid.values.to_pylist()]
        effect = Effect(column=grid.column, values=values, predictions=curves[:, moved].tolist(), shares=grid.shares)  # type: ignore[typeddict-item]
        if curves.shape[1] > 1:
            effect["predicted_class"] = moved
        yield effect


def _with_column(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    place = batch.schema.get_field_index(name)
    return batch.set_column(place, batch.schema.field(place), column)


def _predictions(predict: Predict, copies: Iterator[pa.RecordBatch], rows: int) -> np.ndarray:
    """Returns the predictions for all copies, asked for in few calls: one row for each of a copy."""
    predictions: list[np.ndarray] = []
    waiting: list[pa.RecordBatch] = []
    for copy in copies:
        waiting.append(copy)
        if len(waiting) * rows >= _AT_ONCE:
            predictions.append(predict(_joined(waiting)))
            waiting = []
    if waiting:
        predictions.append(predict(_joined(waiting)))
    joined: np.ndarray = np.concatenate(predictions)
    return joined.reshape(len(joined), -1)


def _joined(copies: list[pa.RecordBatch]) -> pa.RecordBatch:
    columns = [pa.concat_arrays([copy.column(place) for copy in copies]) for place in range(copies[0].num_columns)]
    return pa.RecordBatch.from_arrays(columns, schema=copies[0].schema)


def _frequent(values: pa.Array) -> tuple[pa.Array, list[float]]:
    counts = pc.value_counts(values.drop_null())
    order = pc.sort_indices(counts.flatten()[1], sort_keys=[("", "descending")])[:_VALUES]
    return counts.field("values").take(order), counts.field("counts").take(order).to_pylist()


def _spread(values: pa.Array) -> tuple[pa.Array, list[float]]:
    """Returns the distinct values if they are few, else quantiles; and how many rows each is the nearest one of."""
    numbers = values.drop_null().to_numpy(zero_copy_only=False)
    numbers = numbers[np.isfinite(numbers)]
    chosen = np.unique(numbers)
    if len(chosen) > _VALUES:
        chosen = np.unique(np.quantile(numbers, np.linspace(*_QUANTILES, _VALUES), method="nearest"))
    wide = chosen.astype(np.longdouble)  # a sum of large integers would overflow, and a double would round them
    middles = (wide[1:] + wide[:-1]) / 2
    counts = np.bincount(np.searchsorted(middles, numbers), minlength=len(chosen))
    return pa.array(chosen, values.type), counts.tolist()


def _plain(value: bytes | float) -> str | float:
    return value.decode(errors="replace") if isinstance(value, bytes) else float(value)

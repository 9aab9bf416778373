"""Examples and predictions as data frames."""

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.scoring import features
from penstock.components.scoring.answers import of_model
from penstock.components.scoring.features import Kind, ModelInputs
from penstock.core import artifacts
from penstock.core.errors import DataError
from penstock.core.examples import records
from penstock.core.models import loaded, predict

_BATCH = 4096  # rows that a model is asked about at once


def examples(folder: Path, split: str, rows: int | None) -> pd.DataFrame:
    """Returns the examples of a split, or the first of them, a column for each feature.

    A cell is the feature's value, missing where it has none, and a list where a row of the data has several.
    """
    batches = records.read_batches(artifacts.Examples(folder).files(split))
    frames = list(_frames(batches, rows))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _frames(batches: Iterator[pa.RecordBatch], rows: int | None) -> Iterator[pd.DataFrame]:
    left = rows
    for batch in batches:
        if left is not None:
            batch, left = batch.slice(0, left), left - min(left, batch.num_rows)
        columns = {name: _values(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
        yield pd.DataFrame(columns)
        if left == 0:
            return


def _values(column: pa.Array) -> pd.Series:
    """Returns the values of a column of lists."""
    if pa.types.is_null(column.type):
        return pd.Series([None] * len(column), dtype=object)
    counts = pc.fill_null(pc.list_value_length(column), 0)
    if pc.max(counts).as_py() in (None, 0, 1):
        return _texts(pc.list_element(column, 0) if pc.min(counts).as_py() == 1 else _first(column))
    return pd.Series([_texts(pa.array(cell or [], column.type.value_type)).tolist() for cell in column.to_pylist()])


def _first(column: pa.Array) -> pa.Array:
    """Returns the only value of each row, null where there is none."""
    return pa.array([cell[0] if cell else None for cell in column.to_pylist()], column.type.value_type)


def _texts(values: pa.Array) -> pd.Series:
    series = values.to_pandas()
    is_bytes = pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)
    return series.map(lambda cell: cell.decode(errors="replace"), na_action="ignore") if is_bytes else series


def predictions(model: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """Returns what a model predicts for the rows of a frame, with its index, in the columns of `penstock predict`.

    Raises a DataError that names a column that the model needs, or whose values are not of its type. A Python warning
    names those that are missing in every row, or that the model does not know.
    """
    folder = predict.saved_model_folder(model)
    inputs = ModelInputs.of(folder)
    inputs.require_features(folder, "tf.Examples, which a data frame does not have")
    frame = frame.set_axis([str(name) for name in frame.columns], axis="columns")
    matched = features.match(inputs, list(frame.columns), "the data frame")
    for note in matched.notes:
        warnings.warn(note, stacklevel=3)
    columns = {feature.name: _column(frame[feature.name], feature.kind) for feature in matched.features}
    reasons: dict[int, str] = {}
    serialized, _ = features.encode(columns, matched.features, reasons, len(frame))
    if reasons:
        row = min(reasons)
        raise DataError(f"row {frame.index[row]!r} of the data frame: {reasons[row]}")
    (signature,) = loaded.load(folder, cleans=True)
    answers = of_model(inputs.label, inputs.signature.outputs)
    asked = (serialized[start : start + _BATCH] for start in range(0, len(serialized), _BATCH))
    batches = [
        pa.RecordBatch.from_arrays(answers.arrays(signature.predict(examples)), schema=answers.schema)
        for examples in asked
    ]
    predicted: pd.DataFrame = pa.Table.from_batches(batches, answers.schema).to_pandas()
    return predicted.set_index(frame.index)


def _column(series: pd.Series, kind: Kind) -> pa.Array:
    """Returns a column as examples have it: a list for each row, null where the value is missing."""
    rows = [_row(cell, kind) for cell in series]
    try:
        return pa.array(rows, pa.large_list(features.TYPES[kind]))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        expected = f"expected a {kind} in each row, as in the training data"
        raise DataError(f"column {series.name!r} of the data frame: {expected}: {error}") from None


def _row(cell: Any, kind: Kind) -> list[Any] | None:
    if isinstance(cell, list | tuple | np.ndarray):
        return [_plain(value, kind) for value in cell]
    return None if pd.isna(cell) else [_plain(cell, kind)]


def _plain(value: Any, kind: Kind) -> Any:
    """Returns a value as Arrow takes it for a type: whole numbers are floats in a frame in which one is missing."""
    if kind == "text":
        return value if isinstance(value, bytes) else str(value).encode(errors="replace")
    value = value.item() if isinstance(value, np.generic) else value
    whole = isinstance(value, bool | float) and math.isfinite(value) and value == int(value)
    return int(value) if kind == "whole number" and whole else value

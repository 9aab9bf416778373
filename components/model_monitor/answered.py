"""What a model says of rows, in the columns by which its predictions are monitored, with their labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from penstock.components.engines import Engine
from penstock.components.model_monitor import training_rows
from penstock.components.model_monitor.evaluated import Evaluation
from penstock.components.model_monitor.training_rows import DecodedRows, RowColumns
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.predictions import Predictions
from penstock.core.artifacts import Examples, Model, SavedModel
from penstock.core.errors import ModelError
from penstock.core.labels import Label
from penstock.core.models import loaded

_BATCH = 4096


@dataclass(frozen=True)
class Answers:
    """What a model says of a sample of rows, of `rows` in all.

    `evaluated_labels` are the labels as the model makes them for its evaluation; None if that compares the rows' own.
    """

    rows: int
    predictions: pa.RecordBatch
    decoded: DecodedRows
    reference: Reference
    evaluated_labels: pa.Array | None


def ask(
    engine: Engine,
    examples: Examples,
    splits: Sequence[str],
    model: Path,
    label: Label | None,
    columns: RowColumns,
    evaluation: Evaluation | None,
    notes: list[str],
) -> Answers | None:
    """Asks a model about rows of splits; None, with a note, of one that takes no tf.Examples, or fails on them.

    label: The model's own, where it names one.
    """
    folder = Model(model).require_serving()
    if not SavedModel(folder).exists:
        files = SavedModel(folder).listed()
        notes.append(f"predictions are not monitored: the model is no SavedModel (there is {files})")
        return None
    sampled = training_rows.sample(engine, examples, splits)
    try:
        predicted = _predictions(folder, sampled.records, Predictions(label))
    except ModelError as error:
        notes.append(f"predictions are not monitored: {error.message}")
        return None
    decoded = training_rows.decoded(sampled.records, columns)
    made = _evaluated_labels(folder, sampled.records, evaluation, notes) if evaluation else None
    return Answers(sampled.rows, predicted, decoded, Reference.of([predicted]), made)


def _evaluated_labels(
    model: Path, serialized: Sequence[bytes], evaluation: Evaluation, notes: list[str]
) -> pa.Array | None:
    try:
        if not (name := evaluation.signature(model)):
            return None
        (signature,) = loaded.load(model, [name])
        parts = (serialized[start : start + _BATCH] for start in range(0, len(serialized), _BATCH))
        return pa.concat_arrays([_column(signature.predict(part)[evaluation.label]) for part in parts])
    except ModelError as error:
        notes.append(f"labels that come later cannot be compared with predictions: {error.message}")
        return None


def _predictions(model: Path, serialized: Sequence[bytes], wanted: Predictions) -> pa.RecordBatch:
    """Returns the predictions for rows; a ModelError if the model takes no tf.Examples, or fails on them."""
    (signature,) = loaded.load(model)
    batches = [
        wanted.columns({name: _column(array) for name, array in signature.predict(part).items()})
        for part in (serialized[start : start + _BATCH] for start in range(0, len(serialized), _BATCH))
    ]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _column(output: np.ndarray) -> pa.Array:
    """Returns an output with a list for each row, as a request log has it."""
    rows = output.reshape(len(output), -1)
    flat = rows.reshape(-1)
    if flat.dtype.kind in "OS":
        values = pa.array(flat.tolist(), pa.large_binary())
    else:
        values = pa.array(flat.astype(np.float32) if flat.dtype.kind == "V" else flat)
    offsets: np.ndarray = np.arange(len(rows) + 1, dtype=np.int64) * rows.shape[1]
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)

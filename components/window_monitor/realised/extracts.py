"""Labelled rows as the evaluation has examples: TFMA's extracts, with the answers that were logged as predictions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import Extracts
from tensorflow_model_analysis.utils import util

from penstock.components.monitoring.labels.files import first_values
from penstock.components.monitoring.labels.table import LabelTable
from penstock.components.monitoring.windows.account import Reasons
from penstock.components.window_monitor.realised import rows as outputs
from penstock.components.window_monitor.realised.question import Question
from penstock.components.window_monitor.realised.rows import Chunk

_UNANSWERED = "a labelled row without an answer"
_OTHER_OUTPUTS = "a labelled row whose answer has other outputs than most rows"
_NO_NUMBER = "a labelled row whose answer is no number"
_UNKNOWN_LABEL = "a labelled row whose label the model does not know"
_NO_WEIGHT = "a labelled row without a weight"

type _Places = npt.NDArray[np.int64]
type _Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Columns:
    """What is known of some rows of a chunk, by their places in it."""

    rows: _Places
    predictions: Mapping[str, np.ndarray]
    labels: np.ndarray
    weights: np.ndarray | None

    def kept(self, which: _Bools) -> "_Columns":
        return _Columns(
            self.rows[which],
            {name: values[which] for name, values in self.predictions.items()},
            self.labels[which],
            None if self.weights is None else self.weights[which],
        )


def of_labelled(chunk: Chunk, labels: LabelTable, question: Question, left_out: Reasons) -> tuple[int, Extracts]:
    """Returns how many rows have a label that counts, and their extracts; counts the others that have one."""
    rows = np.flatnonzero(chunk.places >= 0)
    answers = {name: chunk.outputs[name].combine_chunks() for name in chunk.outputs.column_names}
    if not answers:
        left_out.add("rows", _UNANSWERED, chunk.name, len(rows))
        return 0, {}
    for column in answers.values():
        regular = outputs.regular(column)[rows]
        left_out.add("rows", _OTHER_OUTPUTS, chunk.name, int((~regular).sum()))
        rows = rows[regular]
    if not len(rows):
        return 0, {}
    places = chunk.places[rows]
    codes, is_known = question.codes.codes(labels.labels(places))
    predictions = {name: outputs.array(column.take(pa.array(rows))) for name, column in answers.items()}
    columns = _Columns(rows, predictions, codes, _weights(chunk, rows, question.weight))
    columns = _without(columns, ~is_known, _UNKNOWN_LABEL, chunk, left_out)
    for name in columns.predictions:
        columns = _without(columns, _is_no_number(columns.predictions[name]), _NO_NUMBER, chunk, left_out)
    if columns.weights is not None:
        columns = _without(columns, np.isnan(columns.weights[:, 0]), _NO_WEIGHT, chunk, left_out)
    return len(columns.rows), _extracts(chunk, columns)


def _without(columns: _Columns, which: _Bools, reason: str, chunk: Chunk, left_out: Reasons) -> _Columns:
    left_out.add("rows", reason, chunk.name, int(which.sum()))
    return columns.kept(~which) if which.any() else columns


def _is_no_number(values: np.ndarray) -> _Bools:
    if values.dtype.kind != "f":
        return np.zeros(len(values), bool)
    return np.asarray(np.isnan(values).any(axis=1))


def _weights(chunk: Chunk, rows: _Places, name: str) -> np.ndarray | None:
    """Returns the weight of each row, [rows, 1], NaN without one; None where all count the same."""
    if not name:
        return None
    if name not in chunk.features.column_names:
        return np.full((len(rows), 1), np.nan)
    values = first_values(chunk.features[name].combine_chunks().take(pa.array(rows)))
    weights: np.ndarray = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return weights[:, None]


def _extracts(chunk: Chunk, columns: _Columns) -> Extracts:
    named = dict(columns.predictions)
    extracts: Extracts = {
        constants.LABELS_KEY: columns.labels,
        constants.PREDICTIONS_KEY: next(iter(named.values())) if len(named) == 1 else named,
        constants.FEATURES_KEY: _features(chunk, columns.rows),
    }
    if columns.weights is not None:
        extracts[constants.EXAMPLE_WEIGHTS_KEY] = columns.weights
    return extracts


def _features(chunk: Chunk, rows: _Places) -> Extracts:
    names = chunk.features.column_names
    if not names:
        return {}
    arrays = [chunk.features[name].combine_chunks().take(pa.array(rows)) for name in names]
    tensors: Extracts = util.record_batch_to_tensor_values(pa.RecordBatch.from_arrays(arrays, names))
    return tensors

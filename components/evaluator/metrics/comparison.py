"""What a metric compares: labels, predictions and weights of a batch, as TFMA takes them from a single example.

`block` does for a whole batch what TFMA's `to_label_prediction_example_weight` does for an example. Where the batch is
not of plain numbers in rows of equal length, `slow_blocks` calls TFMA's function for each example, for equal results.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import Extracts, TensorValueMaybeMultiLevelDict, VarLenTensorValue
from tensorflow_model_analysis.metrics import metric_util
from tensorflow_model_analysis.metrics.metric_types import AggregationType, StandardMetricInputs, SubKey
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

# The outputs that TFMA takes for the predictions, in this order, where no key is set.
PREDICTIONS = (
    tf.saved_model.CLASSIFY_OUTPUT_SCORES,
    tf.saved_model.REGRESS_OUTPUTS,
    "predictions",
    "logistic",
    "probabilities",
    "logits",
)
_NUMBERS = "iuf"  # kinds of arrays
type _ClassWeights = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Comparison:
    """The arguments of TFMA's `to_label_prediction_example_weight`: which labels and predictions, and how paired."""

    model: str = ""
    output: str = ""
    sub_key: SubKey | None = None
    aggregation: AggregationType | None = None
    class_weights: _ClassWeights = ()
    weighted: bool = False
    fractional: bool = False  # a label between 0 and 1 counts as a part of both classes
    flat: bool = True  # pairs of single numbers; else arrays of equal length
    one_weight: bool = False
    scores: bool = False  # predictions alone: they stand for the labels


class Block(NamedTuple):
    """Arrays of labels, predictions and weights, and the example of the batch that each entry comes from.

    Flat ones have shape [entries], others [entries, values of an example]; weights are always flat.
    """

    rows: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    weights: np.ndarray


def taken(value: TensorValueMaybeMultiLevelDict | None, rows: np.ndarray) -> TensorValueMaybeMultiLevelDict | None:
    """Returns the rows of arrays; of lists that all have one value, too. None for what is no array of numbers."""
    if isinstance(value, Mapping):
        return {key: taken(inner, rows) for key, inner in value.items()}
    if isinstance(value, VarLenTensorValue):
        value = _dense(value, rows)
        return value if value is not None and value.dtype.kind in _NUMBERS else None
    return value[rows] if isinstance(value, np.ndarray) and value.dtype.kind in _NUMBERS else None


def _dense(value: VarLenTensorValue, rows: np.ndarray) -> np.ndarray | None:
    """Returns the values of these rows, [rows, 1], if each has exactly one."""
    counts = np.bincount(value.indices[:, 0], minlength=int(value.dense_shape[0]))
    if np.any(counts[rows] != 1):
        return None
    dense: np.ndarray = value.values[(np.cumsum(counts) - counts)[rows]][:, None]
    return dense


def looked_up(value: TensorValueMaybeMultiLevelDict | None, *names: str) -> TensorValueMaybeMultiLevelDict | None:
    """Returns what is in nested mappings by these names, each of which may also be not there."""
    for name in names:
        if name and isinstance(value, Mapping) and name in value:
            value = value[name]
    return value


def block(arrays: Extracts, config: EvalConfig, compared: Comparison) -> Block | None:
    """Returns what is compared in a batch, or None if TFMA's function is needed: for its result, or for its error."""
    inputs = _inputs(arrays, config, compared)
    if inputs is None:
        return None
    selected = _selected(*inputs, compared)
    if selected is None:
        return None
    labels, predictions, weights = selected
    rows = np.arange(len(predictions))
    if not compared.flat:
        return Block(rows, labels, predictions, weights) if not compared.class_weights else None
    size = predictions.shape[1]
    dense = labels if labels.shape[1] == size else one_hot(labels, size)
    if dense is None:
        return None
    entries: np.ndarray = np.repeat(weights, size)
    if compared.class_weights:
        by_class = dict(compared.class_weights)
        entries = entries * np.tile([by_class.get(index, 0.0) for index in range(size)], len(weights))
    paired = Block(np.repeat(rows, size), dense.ravel(), predictions.ravel(), entries)
    return _fractional(paired) if compared.fractional else paired


def _inputs(
    arrays: Extracts, config: EvalConfig, compared: Comparison
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Returns the labels and predictions, each of shape [examples, values], and the weights, [examples]."""
    specs = {spec.name if len(config.model_specs) > 1 else "": spec for spec in config.model_specs}
    spec = specs.get(compared.model)
    names = (compared.model, compared.output)
    labels = looked_up(arrays[constants.LABELS_KEY], spec.label_key if spec else "", *names)
    predictions = looked_up(arrays[constants.PREDICTIONS_KEY], *names)
    if isinstance(predictions, Mapping):
        keys = (spec.prediction_key,) if spec and spec.prediction_key else PREDICTIONS
        predictions = next((predictions[key] for key in keys if key in predictions), None)
    labels, predictions = _table(predictions if compared.scores else labels), _table(predictions)
    if labels is None or predictions is None:
        return None
    weights = looked_up(arrays[constants.EXAMPLE_WEIGHTS_KEY], *names) if compared.weighted else None
    if weights is None:
        # None in the arrays is also what weights of another kind than numbers are.
        return (labels, predictions, np.ones(len(labels))) if not compared.weighted else None
    weights = _table(weights)
    if weights is None or weights.shape[1] != 1:
        return None
    return labels, predictions, weights[:, 0].astype(np.float64)


def _table(value: TensorValueMaybeMultiLevelDict | None) -> np.ndarray | None:
    if not isinstance(value, np.ndarray) or value.ndim > 2 or (value.ndim == 2 and not value.shape[1]):
        return None
    return value[:, None] if value.ndim == 1 else value


def _selected(
    labels: np.ndarray, predictions: np.ndarray, weights: np.ndarray, compared: Comparison
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Applies the sub key: the numbers of a class, of the k-th prediction or of the first k."""
    key, size = compared.sub_key, predictions.shape[1]
    if key is None:
        return labels, predictions, weights
    if (key.k or key.top_k or 0) > size or (key.class_id is not None and (key.k or key.top_k)):
        return None
    if key.class_id is not None:
        if not 0 <= key.class_id < size or labels.shape[1] not in (1, size):
            return None
        column = slice(key.class_id, key.class_id + 1)
        is_sparse = labels.shape[1] != size
        chosen = (labels == key.class_id).astype(int) if is_sparse else labels[:, column]
        return chosen, predictions[:, column], weights
    order = np.argsort(-predictions, axis=1, kind="stable")
    if key.k is not None:
        columns = order[:, key.k - 1 : key.k]
    else:
        columns = np.sort(order[:, : key.top_k], axis=1)
        if compared.aggregation is None:
            first = np.full(predictions.shape, -np.inf)
            np.put_along_axis(first, columns, np.take_along_axis(predictions, columns, axis=1), axis=1)
            return labels, first, weights
    dense = labels if labels.shape[1] == size else one_hot(labels, size)
    if dense is None:
        return None
    return np.take_along_axis(dense, columns, axis=1), np.take_along_axis(predictions, columns, axis=1), weights


def one_hot(labels: np.ndarray, size: int) -> np.ndarray | None:
    """Returns labels of shape [examples, 1] as rows of 0 and 1; class -1, which is unknown, as a row of 0.

    None if a label is no class.
    """
    if labels.shape[1] != 1:
        return None
    classes: np.ndarray = labels[:, 0].astype(int)
    if np.any((classes < -1) | (classes >= size)):
        return None
    encoded: np.ndarray = np.eye(size + 1)[classes][:, :size]
    return encoded


def _fractional(paired: Block) -> Block | None:
    """Splits each entry into one of class 0 and one of class 1, with their parts of the weight, without empty ones."""
    rows, labels, predictions, weights = paired
    if not np.all((labels >= 0) & (labels <= 1)):
        return None
    parts = np.concatenate([weights * (1 - labels), weights * labels])
    kept = np.flatnonzero(parts != 0)
    classes: np.ndarray = np.repeat(np.array([0, 1], labels.dtype), len(labels))
    return Block(np.tile(rows, 2)[kept], classes[kept], np.tile(predictions, 2)[kept], parts[kept])


def slow_blocks(examples: Sequence[Extracts], config: EvalConfig, compared: Comparison) -> list[Block]:
    """Returns what is compared, example by example; what has the same shape is in one block."""
    groups: dict[tuple[tuple[int, ...], ...], list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]] = {}
    if compared.scores:
        config, examples = (
            _of_scores(config),
            [{**example, constants.LABELS_KEY: example[constants.PREDICTIONS_KEY]} for example in examples],
        )
    for row, example in enumerate(examples):
        for label, prediction, weight in metric_util.to_label_prediction_example_weight(
            StandardMetricInputs(example),
            eval_config=config,
            model_name=compared.model,
            output_name=compared.output,
            sub_key=compared.sub_key,
            aggregation_type=compared.aggregation,
            class_weights=dict(compared.class_weights) or None,
            example_weighted=compared.weighted,
            fractional_labels=compared.fractional,
            flatten=compared.flat,
            require_single_example_weight=compared.one_weight,
        ):
            shape = (np.shape(label), np.shape(prediction))
            groups.setdefault(shape, []).append((row, label, prediction, weight))
    return [_stacked(entries, compared.flat) for entries in groups.values()]


def _of_scores(config: EvalConfig) -> EvalConfig:
    changed = EvalConfig()
    changed.CopyFrom(config)
    for spec in changed.model_specs:
        spec.label_key = spec.prediction_key
    return changed


def _stacked(entries: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]], flat: bool) -> Block:
    rows, labels, predictions, weights = (np.array(column) for column in zip(*entries, strict=True))
    if not flat:
        return Block(rows, labels, predictions, weights.reshape(len(rows), -1)[:, 0].astype(np.float64))
    return Block(rows, labels.reshape(-1), predictions.reshape(-1), weights.reshape(-1).astype(np.float64))

"""How good the model most likely is in a window, before anybody knows its labels: estimates with their intervals.

They hold as long as the label depends on what the model sees as it did in the evaluation split: of drift in the
features they tell the loss, of a label that has come to mean another thing they cannot know.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.monitoring.measures.bins import FeatureBins
from penstock.components.monitoring.measures.loss import LossEstimator
from penstock.components.monitoring.measures.performance import Estimate, Estimator, auc
from penstock.components.monitoring.predictions import PREDICTION, PROBABILITY
from penstock.core.artifacts.monitoring import EstimatedMetric, MonitoringBaseline
from penstock.core.labels import Label

_FEWEST = 100  # rows of evaluation, of which anything can be learnt
_HALF = 0.5

type _Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Rows of the evaluation split or of the window: features, and predictions (with labels, of the evaluation)."""

    features: pa.Table
    predictions: pa.Table


def estimated(
    label: Label | None, evaluation: Rows, window: Rows, bins: Mapping[str, FeatureBins]
) -> list[EstimatedMetric]:
    """Returns the metrics that can be estimated: none of a model whose label nobody knows, or without rows enough."""
    known, asked = evaluation.predictions, window.predictions
    if label is None or MonitoringBaseline.LABEL not in known.column_names or not asked.num_rows:
        return []
    columns = [PREDICTION] if label.problem == "regression" else [PREDICTION, PROBABILITY]
    if any(name not in table.column_names for name in columns for table in (known, asked)):
        return []
    kept, asked_rows = _complete(known, [*columns, MonitoringBaseline.LABEL]), _complete(asked, columns)
    if kept.sum() < _FEWEST or not asked_rows.any() or evaluation.features.num_rows != known.num_rows:
        return []
    known, features = known.filter(pa.array(kept)), evaluation.features.filter(pa.array(kept))
    asked, asked_features = asked.filter(pa.array(asked_rows)), window.features
    if label.problem == "regression":
        if asked_features.num_rows != len(asked_rows):  # nobody knows which features a prediction is of
            return []
        return _of_regression(known, features, asked, asked_features.filter(pa.array(asked_rows)), bins)
    truth = _texts(known[MonitoringBaseline.LABEL])
    scores, new = (_numbers(table[PROBABILITY]) for table in (known, asked))
    if label.problem == "binary":
        positive: _Doubles = (truth == str(label.classes[1])).astype(np.float64)
        estimator = Estimator.binary(scores, positive, _HALF)
        realised = {
            "auc": auc(scores, positive),
            "accuracy": float(((scores >= _HALF) == (positive > 0)).mean()),
        }
    else:
        correct: _Doubles = (truth == _texts(known[PREDICTION])).astype(np.float64)
        estimator, realised = Estimator.multiclass(scores, correct), {"accuracy": float(correct.mean())}
    return [_metric(name, one, realised[name]) for name, one in estimator.estimate(new).items()]


def _of_regression(
    known: pa.Table, features: pa.Table, asked: pa.Table, asked_features: pa.Table, bins: Mapping[str, FeatureBins]
) -> list[EstimatedMetric]:
    predicted, new = (_numbers(table[PREDICTION]) for table in (known, asked))
    losses = np.abs(predicted - _numbers(known[MonitoringBaseline.LABEL]))
    estimator = LossEstimator.of(bins, _batch(features), predicted, losses)
    estimate = estimator.estimate(_batch(asked_features), new)
    return [_metric("mean_absolute_error", estimate, float(losses.mean()))]


def _metric(name: str, estimate: Estimate, evaluation: float) -> EstimatedMetric:
    return EstimatedMetric(
        metric=name, value=estimate.value, low=estimate.low, high=estimate.high, evaluation=evaluation
    )


def _complete(table: pa.Table, names: list[str]) -> npt.NDArray[np.bool_]:
    """Returns which rows have one value in each of these columns, and a finite one where it is a number."""
    result: npt.NDArray[np.bool_] = np.ones(table.num_rows, bool)
    for name in names:
        lengths = pc.fill_null(pc.list_value_length(table[name]), 0)
        single = np.asarray(lengths.combine_chunks().to_numpy(zero_copy_only=False)) == 1
        if pa.types.is_floating(table.schema.field(name).type.value_type):
            single[single] = np.isfinite(_numbers(table[name].filter(pa.array(single))))
        result &= single
    return result


def _numbers(column: pa.ChunkedArray) -> _Doubles:
    flat = pc.list_flatten(column).combine_chunks()
    return np.asarray(flat.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _texts(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    values = pc.list_flatten(column).to_pylist()
    texts = [one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in values]
    return np.array(texts, object)


def _batch(table: pa.Table) -> pa.RecordBatch:
    arrays = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, table.column_names)

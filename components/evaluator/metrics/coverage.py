"""Which of TFMA's computations are covered by array operations: by the class of their combiner."""

from collections.abc import Callable
from typing import Any

from tensorflow_model_analysis.metrics import (
    aggregation,
    binary_confusion_matrices,
    calibration,
    calibration_histogram,
    cross_entropy_metrics,
    example_count,
    mean_regression_error,
    metric_util,
    multi_class_confusion_matrix_metrics,
    score_distribution_plot,
    squared_pearson_correlation,
    tf_metric_wrapper,
)
from tensorflow_model_analysis.metrics.metric_types import MetricComputation
from tensorflow_model_analysis.utils import model_util

from penstock.components.evaluator.metrics import confusion, means
from penstock.components.evaluator.metrics.accumulators import Count, Result
from penstock.components.evaluator.metrics.comparison import Comparison
from penstock.components.evaluator.metrics.keras_metrics import KerasMetrics

type Combiner = Any  # TFMA's, with attributes of its own
_ERRORS = {
    mean_regression_error._MeanAbsoluteErrorCombiner: means.absolute_error,
    mean_regression_error._MeanSquaredErrorCombiner: means.squared_error,
    mean_regression_error._MeanAbsolutePercentageErrorCombiner: means.percentage_error,
    mean_regression_error._MeanSquaredLogarithmicErrorCombiner: means.logarithmic_error,
}
_ENTROPIES: dict[type, Callable[[bool, float], means.Error]] = {
    cross_entropy_metrics._BinaryCrossEntropyCombiner: means.BinaryCrossEntropy,
    cross_entropy_metrics._CategoricalCrossEntropyCombiner: means.CategoricalCrossEntropy,
}


def result(computation: MetricComputation) -> Result | None:
    """Returns a new accumulator in place of the computation's combiner; None if only the combiner can compute it."""
    combiner = computation.combiner
    kind = type(combiner)
    if kind is example_count._ExampleCountCombiner:
        names = (combiner._model_name, combiner._output_name)
        return Count(combiner._keys, *names, combiner._example_weighted)
    if computation.preprocessors:
        return None
    if kind in _ERRORS:
        return means.MeanError(combiner._metric_key, _compared(combiner, combiner._metric_key), _ERRORS[kind])
    if kind in _ENTROPIES:
        entropy = _ENTROPIES[kind](combiner._from_logits, combiner._label_smoothing)
        key = combiner._metric_key
        return means.CrossEntropy(key, _compared(combiner, key, flat=False), entropy)
    create = _OTHERS.get(kind)
    return create(combiner) if create else None


def _compared(combiner: Combiner, key: Any, **changes: Any) -> Comparison:
    return Comparison(
        **{
            "model": key.model_name or "",
            "output": key.output_name or "",
            "sub_key": key.sub_key,
            "aggregation": getattr(combiner, "_aggregation_type", None),
            "class_weights": tuple((getattr(combiner, "_class_weights", None) or {}).items()),
            "weighted": combiner._example_weighted,
            **changes,
        }
    )


def _histogram(combiner: Combiner) -> Result:
    key = combiner._key
    return confusion.Histogram(
        key,
        _compared(combiner, key, fractional=combiner._fractional_labels),
        combiner._num_buckets,
        combiner._left,
        combiner._range,
        by_prediction=combiner._prediction_based_bucketing,
    )


def _matrices(combiner: Combiner) -> Result | None:
    extract = combiner._extract_label_prediction_and_weight
    scores = extract is score_distribution_plot._extract_prediction_and_weight
    is_usual = scores or extract is metric_util.to_label_prediction_example_weight
    if combiner._example_id_key or not is_usual or not combiner._enable_fractional_labels:
        return None
    key, thresholds = combiner._key, combiner._binary_confusion_matrices._thresholds
    return confusion.ThresholdMatrices(key, _compared(combiner, key, fractional=True, scores=scores), thresholds)


def _class_matrices(combiner: Combiner) -> Result | None:
    if combiner._extract_label_prediction_and_weight is not metric_util.to_label_prediction_example_weight:
        return None
    compared = _compared(combiner, combiner._key, sub_key=None, flat=False, one_weight=True)
    return confusion.ClassMatrices(combiner._key, compared, combiner._thresholds)


def _labels_and_predictions(combiner: Combiner) -> Result | None:
    key = combiner._key
    if (key.sub_key and key.sub_key.top_k is not None) or not _has_labels(combiner):
        return None
    return means.LabelsAndPredictions(key, _compared(combiner, key))


def _correlation(combiner: Combiner) -> Result:
    key = combiner._key
    return means.SquaredCorrelation(key, _compared(combiner, key, sub_key=None))


def _has_labels(combiner: Combiner) -> bool:
    """Whether the model has a label; without one, TFMA counts its examples, and neither labels nor predictions."""
    spec = model_util.get_model_spec(combiner._eval_config, combiner._key.model_name)
    return spec is not None and bool(spec.label_key or spec.label_keys)


def _class_shares(combiner: Combiner) -> Result | None:
    if not _has_labels(combiner):
        return None
    compared = _compared(combiner, combiner._key, sub_key=None, flat=False, one_weight=True)
    return means.ClassShares(combiner._key, compared, list(combiner._class_ids))


def _keras(combiner: Combiner) -> Result | None:
    if combiner._eval_config is not None:
        spec = model_util.get_model_spec(combiner._eval_config, combiner._model_name)
        if spec is not None and spec.HasField("padding_options"):
            return None
    aggregation = combiner._aggregation_type
    compared = {
        output: Comparison(
            model=combiner._model_name or "",
            output=output or "",
            sub_key=combiner._sub_key if not combiner._sub_key_in_config else None,
            aggregation=aggregation,
            class_weights=tuple((combiner._class_weights or {}).items()),
            weighted=combiner._example_weighted,
            flat=bool(aggregation and aggregation.micro_average),
        )
        for output in combiner._output_names
    }
    return KerasMetrics(combiner, compared)


_OTHERS: dict[type, Callable[[Combiner], Result | None]] = {
    calibration_histogram._CalibrationHistogramCombiner: _histogram,
    binary_confusion_matrices._BinaryConfusionMatrixCombiner: _matrices,
    multi_class_confusion_matrix_metrics._MultiClassConfusionMatrixCombiner: _class_matrices,
    calibration._WeightedLabelsPredictionsExamplesCombiner: _labels_and_predictions,
    squared_pearson_correlation._SquaredPearsonCorrelationCombiner: _correlation,
    aggregation._ClassWeightsFromLabelsCombiner: _class_shares,
    tf_metric_wrapper._CompilableMetricsCombiner: _keras,
}

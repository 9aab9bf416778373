"""Metrics of Keras, updated with the examples of a batch that are in a slice, not with one after the other."""

import math
from typing import Self

import numpy as np
import tensorflow as tf
from tensorflow_model_analysis.metrics import metric_util
from tensorflow_model_analysis.metrics.metric_types import MetricKey, MetricsDict
from tensorflow_model_analysis.metrics.tf_metric_wrapper import _CompilableMetricsCombiner
from tensorflow_model_analysis.utils.keras_lib import tf_keras
from tf_keras.src.utils import losses_utils  # type: ignore[import-untyped]

from penstock.components.evaluator.diagnosis import EXPLAINED
from penstock.components.evaluator.metrics import evidence
from penstock.components.evaluator.metrics.accumulators import Result
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.metrics.comparison import Block, Comparison
from penstock.components.evaluator.metrics.evidence import Spread
from penstock.components.evaluator.metrics.sums import Sums, beside


class KerasMetrics(Result):
    """The metrics of one of TFMA's combiners: their states are summed over batches and shards, as TFMA does.

    Most are means of a function of an example, which is called once for a batch. Others are updated slice by slice.
    """

    def __init__(self, combiner: _CompilableMetricsCombiner, compared: dict[str, Comparison]):
        self._combiner, self._compared = combiner, compared  # by the name of the output
        self._sums: dict[tuple[str, int], Sums] = {}  # the states of a metric, by its output and place
        self._moments: dict[tuple[str, int], Sums] = {}  # of those metrics that are means
        self._example: dict[str, tuple[np.ndarray, ...]] = {}  # by which a metric knows its shapes, by the output

    def add(self, batch: Batch) -> None:
        self._combiner.setup()
        for output, compared in self._compared.items():
            for block in batch.blocks(compared):
                inputs = self._inputs(block)
                positions, codes = batch.memberships.expand(block.rows)
                self._example.setdefault(output, tuple(part[:1] for part in inputs))
                for place, metric in enumerate(self._combiner._metrics[output]):
                    try:
                        values = _values(metric, *inputs[:2])
                        if values is None:
                            places, states = _states(metric, inputs, positions, codes)
                        else:
                            states = _mean_states(values, inputs[2])
                            places, states = codes, states[positions]
                    except EXPLAINED:
                        raise
                    except Exception as error:
                        raise ValueError(f"TF Metric {metric.name} fails to update: {error}") from error
                    if len(places):
                        self._sums.setdefault((output, place), Sums(states.shape[1])).add(places, states)
                        if values is not None and not self._is_micro:  # whose entries are not independent
                            self._add_moments((output, place), places, states)

    def _add_moments(self, key: tuple[str, int], codes: np.ndarray, states: np.ndarray) -> None:
        moments = beside(*evidence.moments(*states.T))
        self._moments.setdefault(key, Sums(evidence.MOMENTS)).add(codes, moments)

    def _inputs(self, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels, weights = block.labels, block.weights
        if self._combiner._sub_key_in_config and labels.shape != block.predictions.shape:
            labels = metric_util.one_hot(labels, block.predictions)
        if not self._is_micro:
            return labels, block.predictions, weights.reshape(len(weights), -1)
        return labels[:, None], block.predictions[:, None], weights[:, None]

    @property
    def _is_micro(self) -> bool:
        aggregation = self._combiner._aggregation_type
        return bool(aggregation and aggregation.micro_average)

    def merge(self, other: Self, codes: np.ndarray) -> None:
        for key, sums in other._sums.items():
            self._sums.setdefault(key, Sums(sums.totals.shape[1])).merge(sums, codes)
        for key, moments in other._moments.items():
            self._moments.setdefault(key, Sums(evidence.MOMENTS)).merge(moments, codes)
        self._example = other._example | self._example

    def result(self, code: int) -> MetricsDict:
        self._combiner.setup()
        results: MetricsDict = {}
        for output in self._compared:
            for place, metric in enumerate(self._combiner._metrics[output]):
                sums = self._sums.get((output, place))
                if output in self._example and not _is_built(metric):
                    metric.update_state(*self._example[output])
                if sums is None:
                    metric.reset_state()
                else:
                    metric.set_weights(_unpacked(sums.of(code), metric))
                value = metric.result()
                values = value if isinstance(value, dict) else {"": value}
                for name, number in values.items():
                    results[self._key(f"{metric.name}/{name}" if name else metric.name, output)] = number.numpy()
        return results

    def spreads(self, code: int) -> dict[MetricKey, Spread]:
        self._combiner.setup()
        spreads = {}
        for (output, place), moments in self._moments.items():
            metric = self._combiner._metrics[output][place]
            total, weight = self._sums[output, place].of(code).tolist()
            spread = evidence.spread(total, weight, moments.of(code).tolist())
            if spread is not None and type(metric) is tf_keras.metrics.RootMeanSquaredError:
                spread = spread.of_root(math.sqrt(max(total / weight, 0.0)))
            if spread is not None:
                spreads[self._key(metric.name, output)] = spread
        return spreads

    def _key(self, name: str, output: str) -> MetricKey:
        combiner = self._combiner
        return MetricKey(
            name=name,
            model_name=combiner._model_name,
            output_name=output,
            sub_key=combiner._sub_key,
            example_weighted=combiner._example_weighted,
        )

    def __getstate__(self) -> dict[str, object]:
        state = dict(self.__dict__)
        combiner = _CompilableMetricsCombiner.__new__(_CompilableMetricsCombiner)
        combiner.__dict__.update({**self._combiner.__dict__, "_metrics": None})  # Keras's objects are not pickled
        return {**state, "_combiner": combiner}


def _is_built(metric: tf_keras.metrics.Metric) -> bool:
    """Whether a metric has all its weights: some make them, or the most of them, when they are first updated."""
    return bool(metric.built and metric.weights) and getattr(metric, "_built", True)


def _unpacked(state: np.ndarray, metric: tf_keras.metrics.Metric) -> list[np.ndarray]:
    shapes = [tuple(weight.shape) for weight in metric.weights]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(state, ends[:-1]), shapes, strict=True)]


def _mean_states(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns for each example what it adds to the state of a mean: its weighted value, and its weight."""
    values = values.astype(np.float64).reshape(len(values), -1)
    spread = np.broadcast_to(weights, values.shape)
    return beside((values * spread).sum(axis=1), spread.sum(axis=1))


def _values(metric: tf_keras.metrics.Metric, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray | None:
    """Returns what a metric takes the mean of; None if it is no such metric."""
    wraps = type(metric).update_state is tf_keras.metrics.MeanMetricWrapper.update_state
    if not wraps and type(metric) is not tf_keras.metrics.RootMeanSquaredError:
        return None
    y_pred, y_true = losses_utils.squeeze_or_expand_dimensions(
        tf.cast(predictions, metric.dtype), tf.cast(labels, metric.dtype)
    )
    values = metric._fn(y_true, y_pred, **metric._fn_kwargs) if wraps else tf.math.squared_difference(y_pred, y_true)
    array: np.ndarray = values.numpy()
    return array


def _states(
    metric: tf_keras.metrics.Metric,
    inputs: tuple[np.ndarray, np.ndarray, np.ndarray],
    positions: np.ndarray,
    codes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the codes of the slices, and what the state of the metric is after the examples of each."""
    order = np.argsort(codes, kind="stable")
    distinct, starts = np.unique(codes[order], return_index=True)
    states = []
    for chosen in np.split(positions[order], starts[1:]):
        metric.reset_state()
        metric.update_state(*(part[chosen] for part in inputs))
        states.append(np.concatenate([np.ravel(weight) for weight in metric.get_weights()]).astype(np.float64))
    return distinct, np.array(states)

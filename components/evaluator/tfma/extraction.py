"""TFMA's extractors, but for examples without a label, and for what is transformed only for the sake of the label."""

import functools
from collections.abc import Collection, Iterator, Mapping

import apache_beam as beam
import numpy as np
from apache_beam.metrics.metric import Metrics, MetricsFilter
from apache_beam.runners.runner import PipelineResult
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api import model_eval_lib, types
from tensorflow_model_analysis.api.types import (
    Extracts,
    MaybeMultipleEvalSharedModels,
    TensorValueMaybeMultiLevelDict,
)
from tensorflow_model_analysis.extractors import extractor, transformed_features_extractor
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator import predictions
from penstock.core.examples.payloads import PayloadFormat

_TRANSFORMED = transformed_features_extractor._TRANSFORMED_FEATURES_EXTRACTOR_STAGE_NAME
_DROPPED = ("penstock", "incomplete_examples")  # the namespace and the name of a counter


def extractors(
    config: EvalConfig,
    models: MaybeMultipleEvalSharedModels,
    schema: Schema | None,
    payload_format: PayloadFormat,
    only: Collection[str] = (),
) -> list[extractor.Extractor]:
    """Returns TFMA's extractors; the last two split batches and compute the slices of each example.

    If `only` is not empty, no other transformed features are kept: metrics and slices see the examples' own.
    """
    listed: list[extractor.Extractor] = model_eval_lib.default_extractors(
        eval_shared_model=models,
        eval_config=config,
        tensor_adapter_config=predictions.adapter_config(schema, payload_format),
    )
    if only:
        place = next(i for i, each in enumerate(listed) if each.stage_name == _TRANSFORMED)
        narrow = beam.Map(functools.partial(narrowed, names=frozenset(only)))
        listed.insert(place + 1, extractor.Extractor("KeepLabels", narrow))
    return listed


def required(config: EvalConfig) -> tuple[str, ...]:
    """Returns the extracts that each example must have: its label and its weight, if the config names them."""
    labels = any(spec.label_key or spec.label_keys for spec in config.model_specs)
    weights = any(spec.example_weight_key or spec.example_weight_keys for spec in config.model_specs)
    return (constants.LABELS_KEY,) * labels + (constants.EXAMPLE_WEIGHTS_KEY,) * weights


def is_complete(extracts: Extracts, keys: Collection[str]) -> bool:
    """Whether an example has all of these extracts. `required` says which, and no metric can be computed without."""
    return not any(is_missing(extracts.get(key)) for key in keys)


def complete(config: EvalConfig) -> extractor.Extractor:
    """Returns an extractor that drops incomplete examples; it comes after the one that splits batches."""
    return extractor.Extractor("DropIncomplete", beam.ParDo(_DropIncomplete(required(config))))


class _DropIncomplete(beam.DoFn):  # type: ignore[misc]
    def __init__(self, keys: Collection[str]):
        self._keys, self._dropped = keys, Metrics.counter(*_DROPPED)

    def process(self, extracts: Extracts) -> Iterator[Extracts]:
        if is_complete(extracts, self._keys):
            yield extracts
        else:
            self._dropped.inc()


def dropped(result: PipelineResult) -> int:
    """Returns how many examples a pipeline has dropped."""
    counters = result.metrics().query(MetricsFilter().with_namespace(_DROPPED[0]).with_name(_DROPPED[1]))["counters"]
    return sum(int(counter.result) for counter in counters)


def is_missing(value: TensorValueMaybeMultiLevelDict | None) -> bool:
    """Whether there is no value, or NaN; of those of several models or outputs, whether any is missing.

    Models are compared by their predictions of the same examples, so what one of them cannot use, none gets.
    """
    if isinstance(value, Mapping):
        return any(map(is_missing, value.values()))
    if isinstance(value, types.SparseTensorValue):
        return not len(value.values)
    if value is None:
        return True
    values = np.asarray(value)
    if values.dtype == object:
        return all(item is None for item in values.ravel())
    return not values.size or (values.dtype.kind == "f" and bool(np.isnan(values).all()))


def narrowed(extracts: Extracts, names: frozenset[str]) -> Extracts:
    """Drops all transformed features but these."""
    return {**extracts, constants.TRANSFORMED_FEATURES_KEY: _only(extracts[constants.TRANSFORMED_FEATURES_KEY], names)}


def _only(features: TensorValueMaybeMultiLevelDict, names: frozenset[str]) -> TensorValueMaybeMultiLevelDict:
    """Keeps features by name; those of several models are by the models' names first."""
    return {
        name: _only(value, names) if isinstance(value, Mapping) else value
        for name, value in features.items()
        if name in names or isinstance(value, Mapping)
    }

"""TFMA's combiners, for the metrics that array operations do not cover: example by example, without a pipeline."""

import pickle
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import Extracts
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.metrics.metric_types import (
    MetricComputation,
    MetricsDict,
    Preprocessor,
    StandardMetricInputsPreprocessor,
)
from tensorflow_model_analysis.utils import util

from penstock.components.evaluator.diagnosis import EXPLAINED
from penstock.components.evaluator.metrics.accumulators import Result
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.tfma import defects

defects.patch()

type _Accumulator = tuple[Any, ...]  # of one slice: an accumulator for each combiner
_FEATURE_KEYS = (constants.FEATURES_KEY, constants.TRANSFORMED_FEATURES_KEY)


class Combiners(Result):
    """The accumulators of several of TFMA's combiners, for each slice.

    Adding an example costs much more than merging. So an example is added once to the accumulator of all examples of
    the same slices. Combiners may change what they merge and keep parts of it, so each merge gets copies.
    """

    def __init__(self, computations: Sequence[MetricComputation]):
        self._computations = computations
        self._groups: dict[tuple[int, ...], _Accumulator] = {}
        self._slices: dict[int, _Accumulator] = {}
        self._start()

    def _start(self) -> None:
        self._preprocess = evaluator._PreprocessorDoFn(self._computations)
        self._combine = evaluator._ComputationsCombineFn(self._computations)
        self._preprocess.setup()
        self._combine.setup()
        self._preprocess.start_bundle()

    def add(self, batch: Batch) -> None:
        """Adds a batch; a ValueError in place of whatever a metric raises, which may be a user's."""
        try:
            self._add_examples(batch)
        except EXPLAINED:
            raise
        except Exception as error:
            raise ValueError(str(error)) from error

    def _add_examples(self, batch: Batch) -> None:
        examples = util.split_extracts(_needed(batch.extracts, self._computations))
        members = batch.memberships
        for index, row in enumerate(batch.rows):
            codes = tuple(members.codes[members.starts[index] : members.starts[index + 1]].tolist())
            extract = {**examples[row], constants.SLICE_KEY_TYPES_KEY: ()}
            for inputs in self._preprocess.process(extract):
                before = self._groups.get(codes)
                self._groups[codes] = self._add(
                    self._combine.create_accumulator() if before is None else before, inputs
                )

    def _add(self, accumulator: _Accumulator, inputs: Extracts) -> _Accumulator:
        try:
            added: _Accumulator = self._combine.add_input(accumulator, inputs)
        except RuntimeError as error:  # TFMA's, around the error of the metric
            raise error.__cause__ or error from None
        return added

    def merge(self, other: Self, codes: np.ndarray) -> None:
        for code, accumulator in other._by_slice().items():
            place = int(codes[code])
            if place in self._by_slice():
                accumulator = self._combine.merge_accumulators([self._slices[place], accumulator])
            self._slices[place] = accumulator

    def result(self, code: int) -> MetricsDict:
        slices = self._by_slice()
        accumulator = slices[code] if code in slices else self._combine.create_accumulator()
        result: MetricsDict = self._combine.extract_output(accumulator)
        return result

    def _by_slice(self) -> dict[int, _Accumulator]:
        """Merges the accumulators of groups into those of the slices that the groups share."""
        members: dict[int, list[bytes]] = {}
        for codes, accumulator in self._groups.items():
            content = pickle.dumps(accumulator)
            for code in codes:
                members.setdefault(code, []).append(content)
        for code, contents in members.items():
            parts = [pickle.loads(content) for content in contents]
            if code in self._slices:
                parts.insert(0, self._slices[code])
            self._slices[code] = self._combine.compact(self._combine.merge_accumulators(parts))
        self._groups = {}
        return self._slices

    def __getstate__(self) -> dict[str, object]:
        self._preprocess.finish_bundle()
        return {"computations": self._computations, "slices": self._by_slice()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._computations, self._slices, self._groups = state["computations"], state["slices"], {}
        self._start()


def _needed(batch: Extracts, computations: Sequence[MetricComputation]) -> dict[str, Any]:
    """Drops the extracts that no metric reads: splitting a batch has a cost per example and feature."""
    kept = {key: batch[key] for key in batch if key not in (constants.ARROW_RECORD_BATCH_KEY, constants.INPUT_KEY)}
    if reads_features(computations):
        return kept
    for key in _FEATURE_KEYS:
        if isinstance(kept.get(key), dict):
            kept[key] = {name: value for name, value in kept[key].items() if isinstance(value, dict)}
    return kept


def reads_features(computations: Sequence[MetricComputation]) -> bool:
    """Whether a metric reads features of the examples, and not only labels, predictions and weights."""
    return any(each.preprocessors and not _reads_no_features(each.preprocessors) for each in computations)


def _reads_no_features(preprocessors: Sequence[Preprocessor]) -> bool:
    return all(
        type(preprocessor) is StandardMetricInputsPreprocessor
        and not set(_FEATURE_KEYS) & set(preprocessor.include_filter or ())
        for preprocessor in preprocessors
    )

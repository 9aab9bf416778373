"""The extracts of whole batches, as TFMA's extractors make them, without a pipeline around them."""

import contextlib
import functools
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import (
    EvalSharedModel,
    Extracts,
    TensorValueMaybeMultiLevelDict,
    VarLenTensorValue,
)
from tensorflow_model_analysis.extractors import features_extractor, transformed_features_extractor
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, ModelSpec
from tensorflow_model_analysis.utils import model_util, util

from penstock.components.evaluator import predictions
from penstock.components.evaluator.diagnosis import EXPLAINED
from penstock.components.evaluator.eval_config import candidate, candidate_name
from penstock.components.evaluator.tfma import extraction
from penstock.core.examples.payloads import PayloadFormat


class ModelFailure(Exception):
    """What loading or asking a model raised, in words."""


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """Raises a ModelFailure in place of whatever a model raises, unless the machine is why."""
    try:
        yield
    except EXPLAINED:
        raise
    except Exception as error:
        cause = error.__cause__ or error  # TFMA tells all inputs, TensorFlow within it what is wrong with them
        raise ModelFailure(f"{type(cause).__name__}: {cause}") from error


class Predictor(Hashable, Protocol):
    """What adds predictions to extracts."""

    def process(self, extracts: Extracts) -> Iterable[Extracts]:
        """Returns the extracts with predictions, in one piece or several."""


class Extractor:
    """Loads the models of an evaluation, once, and makes the extracts of batches.

    `models` holds the folder of each model by its name; `only` is as in extraction.py. `predictor` stands for the
    models, of which then only the functions that transform features are called.
    """

    def __init__(
        self,
        config: EvalConfig,
        models: Mapping[str, str],
        schema: schema_pb2.Schema | None,
        payload_format: PayloadFormat,
        only: Collection[str],
        predictor: Predictor | None = None,
    ):
        self._config, self._only = config, frozenset(only)
        adapter = predictions.adapter_config(schema, payload_format)
        self._representations = adapter.tensor_representations if adapter else {}
        self._required = extraction.required(config)
        shared = model_util.verify_and_update_eval_shared_models(predictions.shared_models(config, dict(models))) or []
        self._models = {model.model_name: model for model in shared}
        specs = {spec.name if len(config.model_specs) > 1 else "": spec for spec in config.model_specs}
        self._transform = self._function(
            list(config.model_specs),
            self._models,
            output_keypath=[constants.TRANSFORMED_FEATURES_KEY],
            signature_names={name: list(spec.preprocessing_function_names) for name, spec in specs.items()},
            default_signature_names=list(transformed_features_extractor._DEFAULT_SIGNATURE_NAMES),
        )
        self._predict: Predictor = predictor or self._function(
            list(config.model_specs),
            self._models,
            output_keypath=[constants.PREDICTIONS_KEY],
            signature_names={name: [spec.signature_name] for name, spec in specs.items()},
            prefer_dict_outputs=False,
        )

    def _function(self, specs: list[ModelSpec], models: Mapping[str, EvalSharedModel], **arguments: Any) -> Predictor:
        """Returns TFMA's function that calls signatures of models, which are loaded once."""
        function = model_util.ModelSignaturesDoFn(model_specs=specs, eval_shared_models=models, **arguments)
        with asking():
            function.setup()
        return function  # type: ignore[no-any-return]

    def extracts(self, batch: pa.RecordBatch) -> Iterator[Extracts]:
        """Yields the features, labels, weights and predictions of the examples in a batch of `example_batches`.

        They are in one piece, unless a model cannot take several examples at once.
        """
        columns, serialized = features_extractor._drop_unsupported_columns_and_fetch_raw_data_column(batch)
        features = util.record_batch_to_tensor_values(columns, self._representations)
        with asking():
            parts = list(self._transform.process({constants.FEATURES_KEY: features, constants.INPUT_KEY: serialized}))
        for part in parts:
            labelled = self._with_labels(part)
            with asking():
                answered = list(self._predict.process(labelled))
            yield from answered

    def predictions(self, serialized: Sequence[bytes]) -> TensorValueMaybeMultiLevelDict:
        """Returns what the candidate alone predicts for serialized examples; a ModelFailure if it takes but one."""
        with asking():
            first, *others = self._candidate.process({constants.INPUT_KEY: np.array(serialized, object)})
        if others:
            raise ModelFailure("it does not take several examples at once")
        return first[constants.PREDICTIONS_KEY]

    @functools.cached_property
    def _candidate(self) -> Predictor:
        spec = candidate(self._config)
        return self._function(
            [spec],
            {"": self._models[candidate_name(self._config)]},
            output_keypath=[constants.PREDICTIONS_KEY],
            signature_names={"": [spec.signature_name]},
            prefer_dict_outputs=False,
        )

    def _with_labels(self, extracts: Extracts) -> Extracts:
        result = extraction.narrowed(extracts, self._only) if self._only else dict(extracts)
        specs = list(self._config.model_specs)
        values = model_util.get_feature_values_for_model_spec_field
        result[constants.LABELS_KEY] = values(specs, "label_key", "label_keys", result, True)
        weights = values(specs, "example_weight_key", "example_weight_keys", result)
        if weights is not None:
            result[constants.EXAMPLE_WEIGHTS_KEY] = weights
        return result

    def complete(self, extracts: Extracts) -> np.ndarray:
        """Returns the positions of the examples that have all that the config requires of them."""
        count = len(extracts[constants.INPUT_KEY])
        missing: np.ndarray = np.zeros(count, bool)
        for key in self._required:
            missing |= _missing(extracts.get(key), count)
        return np.flatnonzero(~missing)


def _missing(value: TensorValueMaybeMultiLevelDict | None, count: int) -> np.ndarray:
    """Returns for each example whether it has no value, as `extraction.is_missing` says of one."""
    if value is None:
        return np.ones(count, bool)
    if isinstance(value, Mapping):
        return functools.reduce(np.logical_or, [_missing(inner, count) for inner in value.values()])
    missing: np.ndarray
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        missing = np.isnan(value.reshape(count, -1)).all(axis=1)  # also of no value
    elif isinstance(value, VarLenTensorValue) and value.values.dtype.kind in "iuf":
        missing = np.bincount(value.indices[:, 0][~np.isnan(value.values)], minlength=count) == 0
    else:
        missing = np.array(list(_missing_one_by_one(value, count)))
    return missing


def _missing_one_by_one(value: TensorValueMaybeMultiLevelDict, count: int) -> Iterator[bool]:
    examples = util.split_extracts({"value": value})
    yield from (extraction.is_missing(example.get("value")) for example in examples)
    yield from (True for _ in range(count - len(examples)))  # of lists that are all empty, TFMA gives none

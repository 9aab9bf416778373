"""The slices that an example belongs to."""

from collections.abc import Hashable

import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import Extracts, TensorValueMaybeMultiLevelDict
from tensorflow_model_analysis.extractors import slice_key_extractor
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, SlicingSpec
from tensorflow_model_analysis.slicer import slicer_lib

# Features and their values in TFMA's form, such as (("island", "Biscoe"), ("year", 2008)); () is the overall slice.
type SliceKey = tuple[tuple[str, str | int | float], ...]
FEATURE_KEYS = (constants.FEATURES_KEY, constants.TRANSFORMED_FEATURES_KEY)


class SliceKeys:
    """Computes the slices of examples. `features` holds the names of the features that slices are made of.

    Examples with the same values in these features belong to the same slices, which are computed once.
    """

    def __init__(self, config: EvalConfig):
        self._specs = [slicer_lib.SingleSliceSpec(spec=spec) for spec in config.slicing_specs]
        for crossing in config.cross_slicing_specs:
            self._specs.append(slicer_lib.SingleSliceSpec(spec=crossing.baseline_spec))
            self._specs += [slicer_lib.SingleSliceSpec(spec=spec) for spec in crossing.slicing_specs]
        self._specs = list(dict.fromkeys(self._specs)) or [slicer_lib.SingleSliceSpec()]
        self._extract = slice_key_extractor.ExtractSliceKeysFn(config, materialize=False)
        self._keys: dict[Hashable, tuple[SliceKey, ...]] = {}
        self.features = {
            name
            for spec in [*config.slicing_specs, *_crossed(config)]
            for name in [*spec.feature_keys, *spec.feature_values]
        }

    def of(self, extract: Extracts) -> tuple[SliceKey, ...]:
        """Returns the keys of the slices that a single example belongs to."""
        values = tuple(_hashable(extract.get(key)) for key in FEATURE_KEYS)
        if values not in self._keys:
            (sliced,) = self._extract.process(extract, self._specs)
            self._keys[values] = tuple(tuple(map(tuple, key)) for key in sliced[constants.SLICE_KEY_TYPES_KEY])
        return self._keys[values]


def _crossed(config: EvalConfig) -> list[SlicingSpec]:
    return [
        spec for crossing in config.cross_slicing_specs for spec in [crossing.baseline_spec, *crossing.slicing_specs]
    ]


def _hashable(features: TensorValueMaybeMultiLevelDict) -> Hashable:
    if isinstance(features, dict):
        return tuple((name, _hashable(value)) for name, value in features.items())
    return tuple(features.ravel().tolist()) if isinstance(features, np.ndarray) else repr(features)
